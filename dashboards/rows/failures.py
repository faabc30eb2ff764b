"""How often jobs failed for good: by an exception, by a rate limit, or because their process died."""

from dashboards.kit.queries import RECENT, events
from rqmon.metrics import RQ_JOB_RETRIES_TOTAL, RQ_JOBS_PROCESSED_TOTAL


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
