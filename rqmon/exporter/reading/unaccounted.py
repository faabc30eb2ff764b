"""Checks for a sample of jobs, in bounded work, that each is where its status says it is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hiredis
from rq.executions import ExecutionRegistry
from rq.job import Job
from rq.registry import StartedJobRegistry

from rqmon.exporter.reading.pipeline import pack
from rqmon.exporter.reading.registries import REGISTRIES, key_of, timestamp

# A job that moves during the search is not lost; so a job is only looked for this long after it was queued.
_SETTLED_SECONDS = 60.0
# Only lists up to this length are searched: a scrape must not cost more if more jobs wait.
_SEARCHED = 2_000


@dataclass(frozen=True, slots=True)
class Sampled:
    """A job to look for; one of `commands` finds it where it is, and the last gives its status."""

    status: bytes
    commands: tuple[bytes, ...]

    def lost(self, answers: list[Any]) -> bool:
        """Whether the job is nowhere, though its status still says that it is somewhere."""
        *places, status = answers
        return status == self.status and all(place in (None, [], [b"0", []]) for place in places)


def sampled(
    key: bytes, answer: Any, *, now: float, prefix: str, lengths: Mapping[bytes, int]
) -> Sampled | None:
    """Return the search for a sampled job; None if there is nothing to search, or too much.

    Args:
        key: The job's key.
        answer: Redis's answer: the job's status, queue and time of queueing.
        now: The server's clock in Unix seconds.
        prefix: The prefix of queue keys.
        lengths: The queues' lengths, by name.
    """
    if isinstance(answer, hiredis.ReplyError) or not answer[0] or not answer[1]:
        return None
    try:
        status = answer[0].decode()
        enqueued_at = timestamp(answer[2])
    except ValueError:
        return None
    if enqueued_at is not None and now - enqueued_at < _SETTLED_SECONDS:
        return None
    job = key.removeprefix(Job.redis_job_namespace_prefix.encode())
    places = _places(prefix.encode() + answer[1], job, status, answer[1], lengths)
    return Sampled(answer[0], (*places, pack("HGET", key, "status"))) if places else None


def _places(
    queue: bytes, job: bytes, status: str, origin: bytes, lengths: Mapping[bytes, int]
) -> list[bytes]:
    """Return the commands that find the job, in the order in which a job moves on."""
    between = pack("LPOS", queue + b":intermediate", job, "MAXLEN", _SEARCHED)
    execution = pack("ZRANGE", key_of(ExecutionRegistry, job), 0, 0)
    if status == "queued":
        if lengths.get(origin, 0) > _SEARCHED:
            return []
        return [pack("LPOS", queue, job, "MAXLEN", _SEARCHED), between, execution]
    if status == "started":
        running = key_of(StartedJobRegistry, origin)
        executions = re.sub(rb"[*?\[\]\\]", rb"\\\g<0>", job) + b":*"
        return [between, execution, pack("ZSCAN", running, 0, "MATCH", executions, "COUNT", _SEARCHED)]
    kind = REGISTRIES.get("failed" if status == "stopped" else status)
    return [pack("ZSCORE", key_of(kind, origin), job)] if kind else []
