"""What RQ writes: its registries by the status that rq-exporter counts them as, its times and names."""

from datetime import datetime

from rq.executions import ExecutionRegistry
from rq.job import JobStatus
from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)

# In rq-exporter's order, after `queued`; the last one it does not have, and rq_jobs neither.
REGISTRIES: dict[str, type[BaseRegistry]] = {
    JobStatus.STARTED.value: StartedJobRegistry,
    JobStatus.FINISHED.value: FinishedJobRegistry,
    JobStatus.FAILED.value: FailedJobRegistry,
    JobStatus.DEFERRED.value: DeferredJobRegistry,
    JobStatus.SCHEDULED.value: ScheduledJobRegistry,
    JobStatus.CANCELED.value: CanceledJobRegistry,
}
STATUSES = (JobStatus.QUEUED.value, *REGISTRIES)


def key_of(kind: type[BaseRegistry] | type[ExecutionRegistry], name: bytes) -> bytes:
    """The key of a registry, of the queue or job with that name."""
    return kind.key_template.format("").encode() + name


def timestamp(text: bytes | None) -> float | None:
    """Unix seconds of a time as RQ writes it.

    Raises:
        ValueError: It is none.
    """
    try:
        return datetime.fromisoformat(text.decode()).timestamp() if text else None
    except OverflowError as error:
        raise ValueError(str(error)) from error


def shown(name: bytes) -> str:
    """A name as a label: two names stay two, also where they are no UTF-8."""
    return name.decode(errors="backslashreplace")
