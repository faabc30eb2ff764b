"""Queues: jobs are counted in the second round trip, the oldest and overdue ones read in the third."""

import functools
import math
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import hiredis
from rq.job import Job
from rq.registry import DeferredJobRegistry, ScheduledJobRegistry, StartedJobRegistry

from rqmon.exporter.reading.pipeline import pack, pairs
from rqmon.exporter.reading.problems import Problems
from rqmon.exporter.reading.registries import EXECUTION_PREFIX, REGISTRIES, STATUSES, key_of, timestamp
from rqmon.exporter.reading.snapshot import QueueState
from rqmon.states import CANCELED
from scheduler.ledger.reading import amount

# Besides the statuses: the jobs between queue and start, the queue's first and last job, and what runs.
COUNT_ANSWERS = len(STATUSES) + 4
# Of each queue so many running jobs are asked when they began; the registry's order does not tell.
_MOST_RUNNING = 100


class Counted(NamedTuple):
    """A queue after the second round trip: `raw` is its name in Redis, `ends` its first and last job.

    `running` has the ids of executions of live workers; None if they can't be read.
    """

    name: str
    raw: bytes
    jobs: dict[str, int]
    canceled: int | None
    intermediate: int | None
    ends: tuple[bytes, ...]
    running: tuple[bytes, ...] | None


@functools.lru_cache(maxsize=8192)
def count_commands(prefix: str, raw: bytes) -> bytes:
    """Return the commands for a queue in the second round trip; they give COUNT_ANSWERS answers."""
    key = prefix.encode() + raw
    counts = [pack("ZCARD", key_of(kind, raw)) for kind in REGISTRIES.values()]
    ends = [pack("LINDEX", key, 0), pack("LINDEX", key, -1)]
    running = pack("ZRANGE", key_of(StartedJobRegistry, raw), -_MOST_RUNNING, -1, "WITHSCORES")
    return b"".join([pack("LLEN", key), *counts, pack("LLEN", key + b":intermediate"), *ends, running])


def counted(name: str, raw: bytes, answers: list[Any], problems: Problems, *, now: float) -> Counted:
    """Return the queue from those answers; a number that can't be read is noted."""
    executions = answers.pop()
    last, first = answers.pop(), answers.pop()
    intermediate = answers.pop()
    try:
        sum(answers, intermediate)
    except TypeError:  # a key of the wrong type gives an error
        numbers = (*answers, intermediate)
        problems.failed(f"queue {name}", next(answer for answer in numbers if not isinstance(answer, int)))
        intermediate = intermediate if isinstance(intermediate, int) else None
        found = zip(STATUSES, answers, strict=True)
        jobs = {status: number for status, number in found if isinstance(number, int)}
    else:
        jobs = dict(zip(STATUSES, answers, strict=True))
    canceled = jobs.pop(CANCELED, None)
    ends = () if first.__class__ is not bytes else (first,) if first == last else (first, last)
    # The score is until when an execution counts as alive. Over RESP2 a text, "inf" for one.
    running: tuple[bytes, ...] | None = ()
    if isinstance(executions, hiredis.ReplyError):
        running = None
    elif executions:  # of most queues nothing runs
        running = tuple(id_ for id_, until in pairs(executions).items() if float(until) >= now)
    return Counted(name, raw, jobs, canceled, intermediate, ends, running)


def look_commands(queue: Counted, *, now: float) -> list[bytes]:
    """Return the commands for a queue in the third round trip, with one answer each."""
    jobs = Job.redis_job_namespace_prefix.encode()
    commands = [_enqueued_at(jobs + id_) for id_ in queue.ends]
    if queue.jobs.get("scheduled"):
        key = key_of(ScheduledJobRegistry, queue.raw)
        commands.append(pack("ZCOUNT", key, "-inf", f"{now:.6f}"))
        commands.append(pack("ZRANGE", key, 0, 0, "WITHSCORES"))
    if queue.jobs.get("deferred"):
        commands.append(pack("ZRANGE", key_of(DeferredJobRegistry, queue.raw), 0, 0, "WITHSCORES"))
    commands += [pack("HGET", EXECUTION_PREFIX + id_, "created_at") for id_ in queue.running or ()]
    return commands


def state(queue: Counted, answers: Iterator[Any], problems: Problems, *, now: float) -> QueueState:
    """Return the queue's state; its answers are taken from those of the third round trip."""
    oldest, overdue, delay = None, 0, 0.0
    if queue.ends:
        oldest = _oldest_time(queue.name, [next(answers) for _ in queue.ends], problems)
    if queue.jobs.get("scheduled"):
        number, earliest = next(answers), next(answers)
        if isinstance(number, int) and isinstance(earliest, list):
            overdue = number
            for id_, due in pairs(earliest).items():
                try:
                    delay = max(0.0, now - amount(due))
                except ValueError:
                    problems.cant_read(f"scheduled job {id_!r}")
    deferred = math.inf if queue.jobs.get("deferred") == 0 else None
    if queue.jobs.get("deferred"):
        answer = next(answers)
        times = [answer] if isinstance(answer, hiredis.ReplyError) else list(pairs(answer).values())
        deferred = _earliest(f"deferred job of {queue.name}", times, problems)
    since = math.inf if queue.running == () else None
    if queue.running:
        since = _earliest(f"running job of {queue.name}", [next(answers) for _ in queue.running], problems)
    return QueueState(
        queue.name,
        MappingProxyType(queue.jobs),
        queue.canceled,
        queue.intermediate,
        oldest,
        overdue,
        delay,
        longest_running_since=since,
        oldest_deferred_since=deferred,
    )


def _earliest(what: str, answers: Sequence[Any], problems: Problems) -> float | None:
    """Return the earliest of these times, infinite if there is none; None if none can be read."""
    times = []
    for answer in answers:
        if isinstance(answer, hiredis.ReplyError):
            problems.failed(what, answer)
        elif answer is not None:  # otherwise it has just gone
            try:
                times.append(amount(answer))
            except ValueError:
                problems.cant_read(what)
    return min(times, default=math.inf if not any(answers) else None)


def _enqueued_at(key: bytes) -> bytes:
    # Like pack(), in half the time.
    return b"*3\r\n$4\r\nHGET\r\n$%d\r\n%b\r\n$11\r\nenqueued_at\r\n" % (len(key), key)


def _oldest_time(name: str, answers: list[Any], problems: Problems) -> float | None:
    """Return when the older of the two ends was queued; a job whose ttl has ended is skipped."""
    times = []
    for answer in answers:
        if isinstance(answer, hiredis.ReplyError):
            problems.failed(f"oldest job of {name}", answer)
            continue
        try:
            found = timestamp(answer)
        except ValueError:
            problems.cant_read(f"oldest job of {name}")
        else:
            times += [] if found is None else [found]
    return min(times, default=None)
