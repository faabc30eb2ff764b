"""RQ's registries by the status under which rq-exporter counts them, and how its times and names are read."""

from datetime import datetime
from typing import Any, cast

from rq.executions import Execution, ExecutionRegistry
from rq.registry import BaseRegistry

from scheduler.queues import REGISTRIES as REGISTRIES

# In rq-exporter's order; neither rq-exporter nor rq_jobs has the last one.
STATUSES = ("queued", *REGISTRIES)

# What comes before an execution's id, which is a member of its queue's StartedJobRegistry.
EXECUTION_PREFIX = Execution("", "", connection=cast(Any, None)).key.removesuffix(":").encode()


def key_of(kind: type[BaseRegistry] | type[ExecutionRegistry], name: bytes) -> bytes:
    """The key of a registry, of the queue or job with that name."""
    return kind.key_template.format("").encode() + name


def timestamp(text: bytes | None) -> float | None:
    """Parse a time as RQ writes it into Unix seconds.

    Raises:
        ValueError: It is not a time.
    """
    try:
        return datetime.fromisoformat(text.decode()).timestamp() if text else None
    except OverflowError as error:
        raise ValueError(str(error)) from error


def shown(name: bytes) -> str:
    """Return a name as a label: different names stay different, even if they are not UTF-8."""
    return name.decode(errors="backslashreplace")
