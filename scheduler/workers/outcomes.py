"""How an execution ended, and how long its job had waited."""

from datetime import UTC, datetime

from rq.job import Job

from scheduler.errors import TooManyRequests
from scheduler.jobs import DUE_AT
from scheduler.ledger.jobs import JobOutcome

_HORSE_KILLED = "WorkHorseKilled"


def of_failure(job: Job, exception: type[BaseException] | None, *, is_stopped: bool) -> JobOutcome:
    """Return the outcome of what RQ calls a failure; without an exception, the job's process died."""
    if is_stopped:
        return JobOutcome.STOPPED
    if exception is None:
        return JobOutcome.ABANDONED
    if issubclass(exception, TooManyRequests):
        return JobOutcome.RATE_LIMITED
    return JobOutcome.RETRIED if job.should_retry else JobOutcome.FAILED


def label(outcome: JobOutcome, exception: type[BaseException] | None) -> str | None:
    """Return the label under which a failure is counted; None if the execution did not fail."""
    if outcome is JobOutcome.ABANDONED:
        return _HORSE_KILLED
    raised = outcome in (JobOutcome.FAILED, JobOutcome.RETRIED, JobOutcome.RATE_LIMITED)
    return class_name(exception) if raised and exception else None


def class_name(type_: type[BaseException]) -> str:
    """Return the name of an exception's class, with its module unless it is built in."""
    name = type_.__qualname__
    return name if type_.__module__ == "builtins" else f"{type_.__module__}.{name}"


def wait_seconds(job: Job) -> float:
    """Return how long a job waited since it was queued or, if it was scheduled, since it was due.

    A due time before the last run is outdated. One in the future means that the job was queued again since.
    """
    now = datetime.now(UTC).timestamp()
    since = job.enqueued_at.timestamp() if job.enqueued_at else now
    due = job.meta.get(DUE_AT)
    started_at = job.started_at.timestamp() if job.started_at else 0.0
    if isinstance(due, float) and started_at < due <= now:
        since = due
    return max(0.0, now - since)
