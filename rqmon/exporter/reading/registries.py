"""RQ's registries by the status that rq-exporter counts them as, and how what it writes is read."""

import math
import re
from datetime import datetime
from typing import Any

from rq.executions import ExecutionRegistry
from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)

# In rq-exporter's order, after `queued`; the last one it does not have.
REGISTRIES: dict[str, type[BaseRegistry]] = {
    "started": StartedJobRegistry,
    "finished": FinishedJobRegistry,
    "failed": FailedJobRegistry,
    "deferred": DeferredJobRegistry,
    "scheduled": ScheduledJobRegistry,
    "canceled": CanceledJobRegistry,
}
STATUSES = ("queued", *REGISTRIES)
_AMOUNT = re.compile(r"\d+(\.\d+)?(e[-+]\d+)?", re.ASCII)


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


def amount(text: str | bytes | float) -> float:
    """A count or a time; what else float() takes, as nan and -1, would make a page that can't be read.

    Scores are text over RESP2 and numbers over RESP3.

    Raises:
        ValueError: It is none.
    """
    if isinstance(text, bytes):
        text = text.decode()
    elif isinstance(text, float):
        text = repr(text)
    if not _AMOUNT.fullmatch(text) or not math.isfinite(read := float(text)):
        raise ValueError("not a number")
    return read


def pairs(answer: Any) -> dict[bytes, Any]:
    """The fields and values of a hash, or the members and scores of a sorted set.

    RESP2 answers both as one flat list, RESP3 a map and a list of pairs.
    """
    if isinstance(answer, dict):
        return answer
    if answer and isinstance(answer[0], list):
        return dict(answer)
    flat = iter(answer or [])
    return dict(zip(flat, flat, strict=True))


def shown(name: bytes) -> str:
    """A name as a label: two names stay two, also where they are no UTF-8."""
    return name.decode(errors="backslashreplace")
