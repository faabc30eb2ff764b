"""How often jobs failed for good: by an exception, by a rate limit, or because their process died."""

from grafanalib import core

from dashboards.kit import panels
from dashboards.kit.queries import RECENT, events, known, rate
from dashboards.kit.theme import OK, above, steps
from rqmon.metrics import RQ_JOB_RETRIES_TOTAL, RQ_JOBS_PROCESSED_TOTAL, RQ_WORKERS_FAILED_TOTAL
from rqmon.thresholds import FAILING_SHARE


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


def failing_share() -> str:
    """Return the share of recent executions that left their job failed for good."""
    failed = failed_for_good(by="redis, queue", window=RECENT)
    return f"sum({failed}) / ({events(RQ_JOBS_PROCESSED_TOTAL, window=RECENT)} > 0)"


def failing_most() -> core.Stat:
    """The queue of which the largest share of recent executions left their job failed for good."""
    failed = f"sum by (queue) ({failed_for_good(by='redis, queue', window=RECENT)})"
    shares = f"{failed} / ({events(RQ_JOBS_PROCESSED_TOTAL, by='queue', window=RECENT)} > 0)"
    # Where workers fail that don't record, it is unknown which queue it is.
    every = 'label_replace(vector(0), "queue", "Every queue", "", "")'
    none = (
        f"{every} unless on () {shares} > 0 unless on () {rate(RQ_WORKERS_FAILED_TOTAL, window=RECENT)} > 0"
    )
    return panels.stat(
        "Failing most",
        "The queue of which the largest share of executions left their job failed for good, over 5 minutes. "
        "Above zero: read the exceptions, in RQ Jobs, before requeueing.",
        {"{{queue}}": known(f"topk(1, {shares} > 0) or ({none})")},
        unit="percentunit",
        decimals=1,
        thresholds=steps(OK, *above(FAILING_SHARE)),
        named=True,
    )
