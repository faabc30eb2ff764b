"""How often jobs failed for good: by an exception, by a rate limit, or because their process died."""

from grafanalib import core

from dashboards.kit import links, panels, theme
from dashboards.kit.queries import RANGE, RECENT, events, jobs, rate, select, worst_or
from dashboards.kit.theme import CRITICAL, NEUTRAL, OK, above, steps
from rqmon.metrics import (
    RQ_JOB_FAILURES_TOTAL,
    RQ_JOB_RETRIES_TOTAL,
    RQ_JOBS_PROCESSED_TOTAL,
    RQ_WORKERS_FAILED_TOTAL,
    RQ_WORKERS_SUCCESS_TOTAL,
)
from rqmon.thresholds import FAILING_SHARE

# A function in two queues gives two series: their run times differ, and a link needs the queue.
BY = "function, queue"
LABELS = {"function": "Function", "queue": "Queue"}


def failed_for_good(*, by: str, window: str) -> str:
    """Return executions in the window that failed their job for good, by `redis`, `queue`, maybe `function`.

    Only by queue is it known how many of the rate-limited and abandoned ones ran again: as many as the
    queue's retries can account for are left out. For all functions of a queue together this is exact.
    """
    failed = events(RQ_JOBS_PROCESSED_TOTAL, by=by, window=window, outcome="failed")
    unclear = events(RQ_JOBS_PROCESSED_TOTAL, by=by, window=window, outcome="rate_limited|abandoned")
    again = events(RQ_JOB_RETRIES_TOTAL, by="redis, queue", window=window)
    retried = events(
        RQ_JOBS_PROCESSED_TOTAL, by="redis, queue", window=window, any_function=True, outcome="retried"
    )
    of_them = f"clamp_min({again} - {retried}, 0)"
    return f"({failed} + clamp_min({unclear} - on (redis, queue) group_left () {of_them}, 0) or {failed})"


def failing_share() -> core.Stat:
    """How much of the worst queue's work fails."""
    # By the workers' own counters where nothing is recorded; they don't know functions.
    failed, succeeded = (
        rate(metric, by="queues", window=RECENT)
        for metric in (RQ_WORKERS_FAILED_TOTAL, RQ_WORKERS_SUCCESS_TOTAL)
    )
    counted = f'label_join({failed} / ({succeeded} + {failed} > 0), "queue", "", "queues")'
    recorded = f"rate({select(RQ_JOBS_PROCESSED_TOTAL, any_function=True)}[{RECENT}])"
    # A worker of several queues counts for none of them: it is only asked where nothing at all is recorded.
    of_one = f"{counted} and on (queue) {jobs('queue')} unless on (queue) group by (queue) ({recorded})"
    of_any = f"{counted} unless on () group({recorded})"
    return panels.stat(
        "Failing share",
        "The share of executions that left their job failed for good, over 5 minutes, of the queue where it "
        "is largest; where workers do not record, retried ones too. Above zero: read the exceptions.",
        {"{{queue}}": worst_or("Every queue", f"{SHARE_BY_QUEUE} or {of_one} or {of_any}", "queue")},
        unit="percentunit",
        decimals=1,
        thresholds=steps(OK, *above(FAILING_SHARE)),
        named=True,
        reads_on=links.READ_JOBS,
    )


SHARE_BY_SERVER = (
    f"{failed_for_good(by='redis, queue', window=RECENT)} "
    f"/ ({events(RQ_JOBS_PROCESSED_TOTAL, by='redis, queue', window=RECENT)} > 0)"
)
SHARE_BY_QUEUE = (
    f"sum by (queue) ({failed_for_good(by='redis, queue', window=RECENT)}) "
    f"/ ({events(RQ_JOBS_PROCESSED_TOTAL, by='queue', window=RECENT)} > 0)"
)


def top_failures() -> core.Table:
    """Which exceptions end executions most often."""
    count = events(RQ_JOB_FAILURES_TOTAL, by="exception, queue")
    executions = events(RQ_JOBS_PROCESSED_TOTAL, by="queue", any_function=True)
    most = f"topk(10, {count} > 0)"
    return panels.table(
        "Top failures",
        "The ten exceptions that ended most executions in the time range, retried ones too, of every "
        "function, and their share of the queue's executions. Click one for its queue's failed jobs.",
        {
            "Failed executions": most,
            "Share": f"{most} / on (queue) group_left () ({executions} > 0)",
        },
        labels={"exception": "Exception", "queue": "Queue"},
        width=12,
        overrides=[
            theme.column_thresholds("Failed executions", steps(NEUTRAL, (1, CRITICAL))),
            theme.column_unit("Share", "percentunit"),
        ],
        link=links.FAILED,
        sort="Failed executions",
        no_value="No failed execution is known in the time range",
    )


def most_failing_functions() -> core.Table:
    """Which functions fail for good most often."""
    count = events(RQ_JOBS_PROCESSED_TOTAL, by=BY)
    failed = f"sum by ({BY}) ({failed_for_good(by=f'redis, {BY}', window=RANGE)})"
    worst = f"topk(10, {failed} > 0)"
    return panels.table(
        "Most failing functions",
        "The ten that failed for good most often in the time range. Click one for its queue's failed jobs, "
        "read why, then requeue.",
        {
            "Failed for good": worst,
            "Share": f"{failed} / {count} and on ({BY}) {worst}",
            "Executions": f"{count} and on ({BY}) {worst}",
        },
        labels=LABELS,
        width=12,
        overrides=[
            theme.column_thresholds("Failed for good", steps(NEUTRAL, (1, CRITICAL))),
            theme.column_unit("Share", "percentunit"),
        ],
        link=links.FAILED,
        sort="Failed for good",
        no_value="No function is known to have failed in the time range",
    )
