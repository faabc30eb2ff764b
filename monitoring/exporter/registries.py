"""RQ's registries by the status that rq-exporter counts them as, and how RQ writes times."""

from datetime import datetime

from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)

# In rq-exporter's order, after `queued`.
REGISTRIES: dict[str, type[BaseRegistry]] = {
    "started": StartedJobRegistry,
    "finished": FinishedJobRegistry,
    "failed": FailedJobRegistry,
    "deferred": DeferredJobRegistry,
    "scheduled": ScheduledJobRegistry,
    "canceled": CanceledJobRegistry,
}
STATUSES = ("queued", *REGISTRIES)


def timestamp(text: bytes | None) -> float | None:
    """Unix seconds of a time as RQ writes it.

    Raises:
        ValueError: It is none.
    """
    return datetime.fromisoformat(text.decode()).timestamp() if text else None
