"""Workers, read in the second round trip, and whether their signs of life are overdue."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import hiredis

from rqmon.exporter.reading.pipeline import pack
from rqmon.exporter.reading.problems import Problems
from rqmon.exporter.reading.registries import shown, timestamp
from rqmon.exporter.reading.snapshot import WorkerState
from rqmon.thresholds import OVERDUE_WITH_SECONDS_LEFT
from scheduler.ledger.reading import amount

_FIELDS = (
    "state",
    "queues",
    "successful_job_count",
    "failed_job_count",
    "total_working_time",
    "last_heartbeat",
)
ANSWERS = 2


@functools.lru_cache(maxsize=8192)
def commands(prefix: str, raw: bytes) -> bytes:
    """Return the commands that read a worker; they give ANSWERS answers."""
    key = prefix.encode() + raw
    return pack("HMGET", key, *_FIELDS) + pack("PTTL", key)


def state(name: str, answers: Iterator[Any], problems: Problems) -> WorkerState | None:
    """Return the worker from its answers; None if it is gone, or can't be read, which is noted."""
    answer, life = next(answers), next(answers)
    if isinstance(answer, hiredis.ReplyError):
        problems.failed(f"worker {name}", answer)
        return None
    if isinstance(life, hiredis.ReplyError):
        problems.failed(f"life of worker {name}", life)
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
        is_overdue=0 <= life < OVERDUE_WITH_SECONDS_LEFT * 1000 if isinstance(life, int) else None,
    )
