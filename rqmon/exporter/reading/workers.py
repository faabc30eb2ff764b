"""Workers, read in the second round trip."""

import functools
from collections.abc import Callable
from typing import Any

import hiredis

from rqmon.exporter.reading.pipeline import pack
from rqmon.exporter.reading.problems import Problems
from rqmon.exporter.reading.registries import shown, timestamp
from rqmon.exporter.reading.snapshot import WorkerState
from scheduler.ledger.reading import amount

_FIELDS = (
    "state",
    "queues",
    "successful_job_count",
    "failed_job_count",
    "total_working_time",
    "last_heartbeat",
)


@functools.lru_cache(maxsize=8192)
def command(prefix: str, raw: bytes) -> bytes:
    """Return the command that reads a worker."""
    return pack("HMGET", prefix.encode() + raw, *_FIELDS)


def state(name: str, answer: Any, problems: Problems) -> WorkerState | None:
    """Return the worker from the answer; None if it is gone, or can't be read, which is noted."""
    if isinstance(answer, hiredis.ReplyError):
        problems.failed(f"worker {name}", answer)
        return None
    state, queues, succeeded, failed, seconds, heartbeat = answer
    if queues is None and state is None:
        return None  # it is gone, and RQ has not yet removed its name from the set

    def read(field: str, value: bytes | None, reader: Callable[[bytes], float | None]) -> float | None:
        try:
            return reader(value or b"0")
        except ValueError:
            problems.cant_read(f"worker {name} {field}")
            return None

    return WorkerState(
        name=name,
        state=shown(state) if state else "?",
        queues=shown(queues) if queues else "",
        succeeded=read("successful_job_count", succeeded, amount),
        failed=read("failed_job_count", failed, amount),
        working_seconds=read("total_working_time", seconds, amount),
        heartbeat=read("last_heartbeat", heartbeat, timestamp) if heartbeat else None,
    )
