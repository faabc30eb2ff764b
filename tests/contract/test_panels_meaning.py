"""Panels tell the truth about known series, as evaluated by Prometheus's own tool."""

from pathlib import Path

from tests.contract.panel_cases import Case, needs_promtool, run

DAY = 86400
UP = {'up{job="rq-exporter"}': "1x180", "rq_redis_up": "1x180"}
DOWN = {'up{job="rq-exporter"}': "1x180", "rq_redis_up": "0x180"}
# Two servers with a queue of the same name, of which only one has a worker.
TWO_SERVERS = {
    'rq_redis_up{redis="a"}': "1x180",
    'rq_redis_up{redis="b"}': "1x180",
    'rq_jobs{status="queued", queue="default", redis="a"}': "50x180",
    'rq_jobs{status="queued", queue="default", redis="b"}': "0x180",
    'rq_queue_workers{queue="default", redis="a"}': "0x180",
    'rq_queue_workers{queue="default", redis="b"}': "4x180",
    'rq_jobs_processed_total{queue="default", function="f", outcome="succeeded", redis="b"}': "0+40x180",
}
ONE_OF_TWO_DOWN = {**TWO_SERVERS, 'rq_redis_up{redis="b"}': "0x180"}
# A queue of plain `rq worker`s, which record nothing; every fourth execution fails.
NOT_RECORDED = {
    **UP,
    'rq_jobs{status="queued", queue="plain"}': "60x180",
    'rq_queue_workers{queue="plain"}': "1x180",
    'rq_workers_success_total{name="w", queues="plain"}': "0+3x180",
    'rq_workers_failed_total{name="w", queues="plain"}': "0+1x180",
}
OF_TWO_QUEUES = {
    'rq_workers_success_total{name="v", queues="short,other"}': "0+1x180",
    'rq_workers_failed_total{name="v", queues="short,other"}': "0+9x180",
}
# One in eight of its executions fails for good; its worker counts one in four, because some are retried.
RECORDED = {
    **UP,
    'rq_jobs{status="queued", queue="short"}': "60x180",
    'rq_queue_workers{queue="short"}': "1x180",
    'rq_workers_success_total{name="w", queues="short"}': "0+6x180",
    'rq_workers_failed_total{name="w", queues="short"}': "0+2x180",
    'rq_jobs_processed_total{queue="short", function="f", outcome="succeeded"}': "0+6x180",
    'rq_jobs_processed_total{queue="short", function="f", outcome="retried"}': "0+1x180",
    'rq_jobs_processed_total{queue="short", function="f", outcome="failed"}': "0+1x180",
}
# As the rules record it; of "b" one in ten of few is late, of "q" five in a hundred.
WAITED = {
    **UP,
    'queue:rq_job_wait_seconds_count:rate5m{queue="q"}': "10x180",
    'queue:rq_job_wait_late:rate5m{queue="q"}': "0.5x180",
    'queue:rq_job_wait_seconds_count:rate5m{queue="b"}': "1x180",
    'queue:rq_job_wait_late:rate5m{queue="b"}': "0.1x180",
    'queue:rq_job_wait_objective:burnrate5m{queue="q"}': "5x180",
    'queue:rq_job_wait_objective:burnrate5m{queue="b"}': "10x180",
    'queue:rq_job_wait_objective:seconds{queue="b"}': "300x180",
}
# The bound of "c" is counted by no bucket.
UNMEASURED = {**WAITED, 'queue:rq_job_wait_seconds_count:rate5m{queue="c"}': "1x180"}
# The watchdog fires with every rule that is evaluated; one alert is pending, one fires for five minutes.
WATCHED = {**UP, 'ALERTS{alertname="RQWatchdog", alertstate="firing", severity="info"}': "1x180"}
WARNED = {
    **WATCHED,
    'ALERTS{alertname="A", alertstate="firing", severity="warning", queue="q"}': "_x120 1x60",
    'ALERTS_FOR_STATE{alertname="A", severity="warning", queue="q"}': "_x119 600x61",
    'ALERTS{alertname="B", alertstate="pending", severity="critical"}': "1x180",
    'ALERTS_FOR_STATE{alertname="B", severity="critical"}': "0x180",
}
# In the last step one slot ran and one was missed.
SLOTS = {
    **UP,
    'rq_cron_entry_info{entry="e", function="f", schedule="s", timezone="UTC", queue="q"}': "1x180",
    'rq_cron_slots_total{entry="e", outcome="ran"}': "0x179 1",
    'rq_cron_slots_total{entry="e", outcome="missed"}': "0x179 1",
}
LATE_TWICE = {'rq_cron_slots_total{entry="e", outcome="late"}': "0x100 2x80"}
AGES = {
    **UP,
    'rq_jobs{status="queued", queue="a"}': "3x180",
    'rq_queue_oldest_job_age_seconds{queue="a"}': "7x180",
}
# As many succeed as hit a rate limit; those fail for good, or run again, or nobody knows by function.
LIMITED = {
    **UP,
    'rq_jobs_processed_total{queue="q", function="f", outcome="succeeded"}': "0+1x180",
    'rq_jobs_processed_total{queue="q", function="f", outcome="failed"}': "0x180",
    'rq_jobs_processed_total{queue="q", function="f", outcome="retried"}': "0x180",
    'rq_jobs_processed_total{queue="q", function="f", outcome="rate_limited"}': "0+1x180",
    'rq_job_retries_total{queue="q"}': "0x180",
}
RETRIED_LIMITED = {**LIMITED, 'rq_job_retries_total{queue="q"}': "0+1x180"}
# Eleven at once, at the end of the last step.
ELEVEN = {**UP, 'rq_cron_slots_total{entry="e", outcome="missed"}': "0x179 11"}
LONG_AGO = {**UP, 'rq_cron_slots_total{entry="e", outcome="missed"}': "0x30 11x150"}
ABANDONED = 'rq_jobs_processed_total{queue="q", function="f", outcome="abandoned"}'
# Redis was away for two minutes, and then there were three more.
OUTAGE = {
    **UP,
    "rq_redis_up": "1x100 0x24 1x56",
    'rq_cron_slots_total{entry="e", outcome="missed"}': "2x100 stale _x23 5x56",
}
# One queue has idle workers, the other has jobs but no worker.
ONE_SERVED = {
    **UP,
    'rq_jobs{status="queued", queue="served"}': "0x180",
    'rq_jobs{status="queued", queue="left"}': "7x180",
    'rq_queue_workers{queue="served"}': "1x180",
    'rq_queue_workers{queue="left"}': "0x180",
    'rq_workers{name="w", state="idle", queues="served"}': "1x180",
    'rq_workers_success_total{name="w", queues="served"}': "0+9x180",
    'rq_workers_failed_total{name="w", queues="served"}': "0x180",
    'rq_jobs_processed_total{queue="served", function="f", outcome="succeeded"}': "0+9x180",
}
BUSY = {
    **UP,
    'rq_workers{name="a", state="idle", queues="one"}': "1x180",
    'rq_workers{name="b", state="busy", queues="two"}': "1x180",
}
# One queue drains in a moment; the pace of the other is not recorded.
ONE_RECORDED = {
    **RECORDED,
    'rq_jobs{status="queued", queue="dark"}': "60x180",
    'rq_queue_workers{queue="dark"}': "1x180",
}
# Two queues with jobs; problems are told of `q` alone.
TWO_WAIT = {
    'rq_jobs{status="queued", queue="q"}': "7x180",
    'rq_jobs{status="queued", queue="other"}': "9x180",
    'rq_queue_oldest_job_age_seconds{queue="q"}': "12x180",
    'rq_queue_oldest_job_age_seconds{queue="other"}': "99x180",
}
FAILING_QUEUE = {
    f'rq_jobs_processed_total{{queue="q", function="f", outcome="{outcome}"}}': "0+1x180"
    for outcome in ("succeeded", "failed")
}
RAISED = {
    **UP,
    **FAILING_QUEUE,
    'rq_job_failures_total{queue="q", exception="ValueError"}': "0+1x180",
    'rq_job_failures_total{queue="q", exception="KeyError"}': "0x170 3x10",
}
# Long before the last five minutes.
MISSED_AT_NIGHT = {**UP, 'rq_cron_slots_total{entry="e", outcome="missed"}': "5x30 7x150"}
CASES = [
    Case("rq-dashboard", "Redis", DOWN, 0),
    Case("rq-dashboard", "Redis", TWO_SERVERS, 1),
    Case("rq-dashboard", "Redis", ONE_OF_TWO_DOWN, 0),
    *(
        Case(uid, "Alerts firing", series, says, {"queue": "another"}, legend)
        for uid in ("rq-dashboard", "rq-monitoring")
        for series, legend, says in (
            (WATCHED, "critical", 0),
            (WATCHED, "warnings", 0),
            (UP, "critical", None),
            (UP, "warnings", None),
            (WARNED, "critical", 0),
            (WARNED, "warnings", 1),
        )
    ),
    # What is pending is a problem too; the worst is 4: critical, and not yet told.
    Case("rq-dashboard", "Problems now", WARNED, 4, {"queue": "another"}, "State"),
    Case("rq-dashboard", "Problems now", WARNED, 900, legend="For"),
    Case("rq-dashboard", "Problems now", {**WARNED, **TWO_WAIT}, 7, legend="Waiting"),
    Case("rq-dashboard", "Problems now", {**WARNED, **TWO_WAIT}, 12, legend="Oldest"),
    Case("rq-dashboard", "Problems now", {**WARNED, **FAILING_QUEUE}, 0.5, legend="Failing"),
    # 0 says that there are no problems, 6 that nobody knows.
    Case("rq-dashboard", "Problems now", WATCHED, 0, legend="State"),
    Case("rq-dashboard", "Problems now", UP, 6, legend="State"),
    Case("rq-dashboard", "Problems now", {**WATCHED, **DOWN}, None, legend="State"),
    Case("rq-dashboard", "Missed cron slots", MISSED_AT_NIGHT, 2, {"__range": "24h"}),
    Case("rq-dashboard", "Missed cron slots", UP, 0),
    Case("rq-dashboard", "Queues without workers", ONE_SERVED, 1),
    Case("rq-dashboard", "Oldest waiting job", AGES, 7),
    Case("rq-dashboard", "Top failures", RAISED, 180, legend="Failed executions"),
    Case("rq-dashboard", "Top failures", RAISED, 0.5, legend="Share"),
    # The worst of two queues, and not their average.
    Case("rq-dashboard", "Failing share", {**RECORDED, **FAILING_QUEUE}, 0.5),
    Case("rq-monitoring", "Alerts", WATCHED, 0),
    Case("rq-queues", "Queued", TWO_SERVERS, 50),
    # The sum of the known values is not the total.
    Case("rq-queues", "Queued", ONE_OF_TWO_DOWN, None),
    Case("rq-queues", "Queues without workers", ONE_OF_TWO_DOWN, None),
    Case("rq-queues", "Queued", ONE_OF_TWO_DOWN, 50, {"redis": "a"}),
    *(Case(uid, "Failing share", LIMITED, 0.5) for uid in ("rq-dashboard", "rq-jobs")),
    *(Case(uid, "Failing share", RETRIED_LIMITED, 0) for uid in ("rq-dashboard", "rq-jobs")),
    Case("rq-jobs", "Failing share by function", LIMITED, 0.5),
    Case("rq-jobs", "Most failing functions", {**LIMITED, ABANDONED: "0x180"}, 180),
    Case("rq-cron", "Missed cron slots", ELEVEN, 11),
    Case("rq-cron", "Slots by outcome", ELEVEN, 11, legend="Missed"),
    Case("rq-cron", "Missed cron slots", LONG_AGO, 11),
    Case("rq-cron", "Slots by outcome", LONG_AGO, 0, legend="Missed"),
    Case("rq-cron", "Missed cron slots", OUTAGE, 3),
    Case("rq-cron", "Slots by outcome", OUTAGE, 3, legend="Missed", at="625s"),
    # A series first seen at 394 existed before; one that was missing and then was 2 happened since.
    Case("rq-jobs", "Abandoned", {**UP, ABANDONED: "394x180"}, 0),
    Case("rq-jobs", "Abandoned", {**UP, ABANDONED: "_x100 2x80"}, 2),
    Case("rq-jobs", "Abandoned", {**UP, ABANDONED: "5x100 0 1x79"}, 1),
    Case("rq-jobs", "Killed and abandoned", {**UP, ABANDONED: "_x180 2"}, 2, legend="Abandoned"),
    Case("rq-dashboard", "Busiest queue's workers", ONE_SERVED, 2),
    Case("rq-dashboard", "Busiest queue's workers", BUSY, 1),
    Case("rq-dashboard", "Slowest queue drains in", ONE_SERVED, DAY),
    Case("rq-dashboard", "Slowest queue drains in", RECORDED, 60 / (8 / 5)),
    Case("rq-dashboard", "Slowest queue drains in", NOT_RECORDED, 60 / (4 / 5)),
    Case("rq-dashboard", "Slowest queue drains in", UP, 0),
    Case("rq-dashboard", "Slowest queue drains in", ONE_RECORDED, None),
    *(
        Case("rq-dashboard", panel, UP, 0)
        for panel in ("Workers", "Queued", "In the failed registry", "Failing share")
    ),
    *(
        Case("rq-dashboard", panel, DOWN, None)
        for panel in ("Workers", "Queued", "In the failed registry", "Failing share")
    ),
    Case("rq-dashboard", "Failing share", RECORDED, 0.125),
    Case("rq-dashboard", "Failing share", RECORDED, 0, {"function": "another"}),
    Case("rq-dashboard", "Failing share", NOT_RECORDED, 0.25),
    # A queue whose worker does not record is not forgotten beside one that does, nor counted twice.
    Case("rq-dashboard", "Failing share", {**RECORDED, **NOT_RECORDED}, 0.25),
    Case("rq-dashboard", "Failing share", {**RECORDED, **OF_TWO_QUEUES}, 0.125),
    Case("rq-jobs", "Failing share", RECORDED, 0.125),
    Case("rq-limits", "Retried share", {**RECORDED, 'rq_job_retries_total{queue="short"}': "0+1x180"}, 0.125),
    *(Case("rq-queues", panel, DOWN, None) for panel in ("Queued", "Queues without workers")),
    Case("rq-queues", "Queues without workers", RECORDED, 0),
    Case("rq-queues", "Queues without workers", TWO_SERVERS, 1),
    Case("rq-queues", "Queues served", TWO_SERVERS, 2),
    Case("rq-queues", "Slowest queue drains in", TWO_SERVERS, DAY),
    Case("rq-queues", "Waited in time", WAITED, 0.945),
    Case("rq-queues", "Waited in time", UP, None),
    Case("rq-queues", "Waited in time", UNMEASURED, None),
    Case("rq-queues", "Waited in time", UNMEASURED, 0.95, {"queue": "q"}),
    Case("rq-queues", "Objectives by queue", WAITED, 0.95, legend="In time"),
    Case("rq-queues", "Objectives by queue", WAITED, 300, legend="May wait"),
    Case("rq-queues", "Oldest waiting job", UP, 0),
    Case("rq-queues", "Oldest waiting job", AGES, 7),
    Case(
        "rq-queues", "Oldest waiting job", {**AGES, 'rq_queue_oldest_job_age_seconds{queue="a"}': "0x180"}, 0
    ),
    # Redis refuses to tell any job's age.
    Case("rq-queues", "Oldest waiting job", {**UP, 'rq_jobs{status="queued", queue="a"}': "3x180"}, None),
    # The worst of two queues, and not their average.
    Case("rq-queues", "Burn rate, 5 minutes", WAITED, 10),
    Case("rq-queues", "Burn rate, 5 minutes", UP, 0),
    Case("rq-queues", "Burn rate, 5 minutes", UNMEASURED, None),
    Case("rq-cron", "Slots of each entry", SLOTS, 2),
    Case("rq-cron", "Entries", {**SLOTS, **LATE_TWICE}, 2, legend="Late"),
    Case("rq-cron", "Missed cron slots", DOWN, None),
    Case("rq-redis", "Memory of maximum", {**UP, "rq_redis_memory_used_bytes": "5x180"}, 0),
    Case("rq-monitoring", "Scrape errors", DOWN, 0),
]


@needs_promtool
def test_panels_say_what_is_true(tmp_path: Path) -> None:
    run(tmp_path, CASES)
