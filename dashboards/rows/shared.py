"""Single panels that two dashboards share, each with one title, one description and one query.

Whole rows that two dashboards share are in rows/workers.py, and the slowest queue is in rows/queue_pace.py.
"""

from grafanalib import core

from dashboards.kit import links, panels, theme
from dashboards.kit.queries import (
    count_naming_worst,
    events,
    events_by_step,
    jobs,
    largest,
    or_zero,
    peak,
    peak_total,
    rate,
    select,
    worst,
)
from dashboards.kit.theme import CRITICAL, INFO, OK, UP_OR_DOWN, above, steps
from dashboards.rows.queue_pace import NO_WORKER
from rqmon.metrics import (
    RQ_CRON_SLOTS_TOTAL,
    RQ_JOB_RETRIES_TOTAL,
    RQ_JOBS,
    RQ_QUEUE_OLDEST_JOB_AGE_SECONDS,
    RQ_QUEUE_SCHEDULED_DELAY_SECONDS,
    RQ_QUEUE_SCHEDULED_OVERDUE_JOBS,
    RQ_REDIS_UP,
    RQ_REQUEST_PROCESSING_SECONDS,
)
from rqmon.states import JOB_STATUSES
from rqmon.thresholds import FAILED_JOBS, OLDEST_JOB_AGE, QUEUED_JOBS, SCHEDULED_DELAY

OLDEST = largest(RQ_QUEUE_OLDEST_JOB_AGE_SECONDS, by="queue")
DELAY = largest(RQ_QUEUE_SCHEDULED_DELAY_SECONDS, by="queue")

_ADVICE = {
    "queued": "Growing without end: too few workers, or none for one of the queues.",
    "started": "More than there are busy workers: some died, and their jobs are not yet failed.",
    "scheduled": (
        "Waiting retries are among them. Past their time and still here: no worker runs RQ's scheduler "
        "(--with-scheduler)."
    ),
    "deferred": "They stay if one of those fails: requeue or delete it.",
    "finished": "Not a total: it falls as results expire. Rates are in Jobs ended, below.",
    "failed": "Read why in rq-dashboard, then requeue or delete them.",
}
# Not "Failed": executions fail too, and their job may run again.
_TITLES = {"failed": "In the failed registry"}
_COLORS = {
    "queued": steps(INFO, *above(QUEUED_JOBS)),
    "finished": steps(OK),
    "failed": steps(OK, *above(FAILED_JOBS)),
}


def jobs_with(status: str) -> core.Stat:
    """How many jobs of the chosen queues have the status now."""
    return panels.stat(
        _TITLES.get(status, status.capitalize()),
        f"{JOB_STATUSES[status]} {_ADVICE[status]}",
        {status.capitalize(): or_zero(jobs(status=status))},
        unit=theme.COUNT,
        thresholds=_COLORS.get(status, steps(INFO)),
    )


def queues_without_workers() -> core.Stat:
    """How many queues nobody serves, and which one has the most jobs."""
    return panels.stat(
        "Queues without workers",
        "Queues that have jobs and no worker that listens; the one with the most jobs is named. Any: start a "
        "worker for it, or find out who queues jobs under a wrong name.",
        {"{{queue}}": count_naming_worst("None", f"count({NO_WORKER})", NO_WORKER, "queue")},
        unit=theme.COUNT,
        thresholds=steps(OK, (1, CRITICAL)),
        named=True,
        reads_on=links.READ_QUEUES,
    )


def oldest_waiting_job() -> core.Stat:
    """How long the first job of the worst queue has waited."""
    return panels.stat(
        "Oldest waiting job",
        "How long the first job of any chosen queue has waited. Rising second by second: nobody takes "
        "from that queue; see its workers.",
        {"{{queue}}": worst(OLDEST)},
        unit="s",
        thresholds=steps(OK, *above(OLDEST_JOB_AGE)),
        named=True,
        reads_on=links.READ_QUEUES,
    )


def missed_slots() -> core.Stat:
    """How many cron slots got no job, and of which entry most."""
    missed, by_entry = (events(RQ_CRON_SLOTS_TOTAL, by=by, outcome="missed") for by in ("", "entry"))
    return panels.stat(
        "Missed cron slots",
        "Slots in the time range that got no job, as no cron process ran; the entry that missed most is "
        "named. Above zero: see why it was away; `rqmon cron run-now` runs what must not be missed.",
        {"{{entry}}": count_naming_worst("None", missed, by_entry, "entry")},
        unit=theme.COUNT,
        thresholds=steps(OK, (1, CRITICAL)),
        named=True,
        reads_on=links.READ_CRON,
    )


def backlog_by_queue(*, width: int) -> core.TimeSeries:
    """How many jobs wait in each queue."""
    return panels.timeseries(
        "Backlog by queue",
        "Jobs waiting in each queue. A line that only rises needs more workers on that queue; one that "
        "stays up and level has none.",
        {"{{queue}}": peak_total(RQ_JOBS, by="queue", status="queued")},
        unit="short",
        width=width,
        link=links.QUEUED,
    )


def scheduled_by_queue(*, width: int) -> core.TimeSeries:
    """How many jobs of each queue are scheduled for later."""
    return panels.timeseries(
        "Scheduled by queue",
        "Jobs that wait for their time: delayed ones and retries. Rising without end: something schedules "
        "more than it should, or nothing queues them; see Overdue by queue in RQ Queues.",
        {"{{queue}}": peak_total(RQ_JOBS, by="queue", status="scheduled")},
        unit="short",
        width=width,
        link=links.SCHEDULED,
    )


def overdue_by_queue() -> core.TimeSeries:
    """How many scheduled jobs of each queue are past their time."""
    return panels.timeseries(
        "Overdue by queue",
        "Scheduled jobs whose time has come and that are not queued. More than a moment above zero: no "
        "worker of that queue runs RQ's scheduler; start one with --with-scheduler.",
        {"{{queue}}": peak_total(RQ_QUEUE_SCHEDULED_OVERDUE_JOBS, by="queue")},
        unit="short",
        width=8,
        link=links.SCHEDULED,
    )


def worst_delay() -> core.Stat:
    """How late the most overdue scheduled job is."""
    return panels.stat(
        "Worst delay",
        "How far behind its time the most overdue scheduled job is. RQ's scheduler looks once a second. "
        "Rising steadily: no worker of its queue runs it; start one with --with-scheduler.",
        {"{{queue}}": worst(DELAY)},
        unit="s",
        thresholds=steps(OK, *above(SCHEDULED_DELAY)),
        named=True,
    )


def worst_delay_by_queue() -> core.TimeSeries:
    """How late the most overdue scheduled job of each queue is."""
    return panels.timeseries(
        "Worst delay by queue",
        "How far behind its time the most overdue scheduled job of each queue is. A line that climbs with "
        "the clock: nothing queues that queue's scheduled jobs.",
        {"{{queue}}": peak(RQ_QUEUE_SCHEDULED_DELAY_SECONDS, by="queue")},
        unit="s",
        width=8,
        link=links.SCHEDULED,
    )


def retries_by_queue() -> core.TimeSeries:
    """How often each queue's jobs have to run again."""
    return panels.bars(
        "Retries by queue",
        "Executions after which the job was to run again, of every function. A level that stays: something "
        "fails each time, and retrying does not help; see the exceptions in RQ Jobs.",
        {"{{queue}}": events_by_step(RQ_JOB_RETRIES_TOTAL, by="queue")},
        unit="short",
        width=12,
        link=links.FAILED,
    )


def redis_up() -> core.Stat:
    """Whether every chosen Redis answers."""
    return panels.stat(
        "Redis",
        "Whether every chosen Redis answers the exporter. Down: nothing is queued and no job starts; see "
        "its log, and docs/runbooks.md, RQRedisDown.",
        {"Redis": f"min({select(RQ_REDIS_UP)})"},
        unit="short",
        thresholds=steps(CRITICAL, (1, OK)),
        mappings=UP_OR_DOWN,
    )


def collection_time() -> core.TimeSeries:
    """How long the exporter takes to read Redis."""
    seconds = rate(RQ_REQUEST_PROCESSING_SECONDS, "_sum")
    scrapes = rate(RQ_REQUEST_PROCESSING_SECONDS, "_count")
    return panels.timeseries(
        "Collection time history",
        "The average time to read Redis for one scrape. Rising with the same queues and workers: Redis "
        "is slow or far away.",
        {"Collection time": f"{seconds} / {scrapes}"},
        unit="s",
        width=24,
        colors={"Collection time": INFO},
    )
