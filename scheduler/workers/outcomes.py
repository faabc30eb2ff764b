"""How an execution ended, and how long its job had waited."""

from datetime import UTC, datetime

from rq.job import Job

from scheduler.errors import TooManyRequests
from scheduler.jobs import DUE_AT
from scheduler.ledger.jobs import JobOutcome

_HORSE_KILLED = "WorkHorseKilled"


def of_failure(job: Job, exception: type[BaseException] | None, *, is_stopped: bool) -> JobOutcome:
    """What RQ calls a failure: the job raised, was stopped, or its process died and no exception is known."""
    if is_stopped:
        return JobOutcome.STOPPED
    if exception is None:
        return JobOutcome.ABANDONED
    if issubclass(exception, TooManyRequests):
        return JobOutcome.RATE_LIMITED
    return JobOutcome.RETRIED if job.should_retry else JobOutcome.FAILED


def label(outcome: JobOutcome, exception: type[BaseException] | None) -> str | None:
    """What an execution failed of, as it is counted; None where it did not."""
    if outcome is JobOutcome.ABANDONED:
        return _HORSE_KILLED
    raised = outcome in (JobOutcome.FAILED, JobOutcome.RETRIED, JobOutcome.RATE_LIMITED)
    return class_name(exception) if raised and exception else None


def class_name(type_: type[BaseException]) -> str:
    """An exception's class as people write it: with its module, unless it is built in."""
    name = type_.__qualname__
    return name if type_.__module__ == "builtins" else f"{type_.__module__}.{name}"


def wait_seconds(job: Job) -> float:
    """How long a job waited since it was queued, or since it was due when it was scheduled.

    A due time from before it last ran is an old one, and of one to come it was queued again since.
    """
    now = datetime.now(UTC).timestamp()
    since = job.enqueued_at.timestamp() if job.enqueued_at else now
    due = job.meta.get(DUE_AT)
    started_at = job.started_at.timestamp() if job.started_at else 0.0
    if isinstance(due, float) and started_at < due <= now:
        since = due
    return max(0.0, now - since)
