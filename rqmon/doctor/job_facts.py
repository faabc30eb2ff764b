"""What is asked about jobs that failed, are stuck, run or wait for others, and what the answers say."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rq import Queue
from rq.job import Job
from rq.registry import DeferredJobRegistry, FailedJobRegistry, StartedJobRegistry
from rq.results import Result

from rqmon.doctor.asking import Answers, Commands, of
from rqmon.doctor.facts import DeferredJob, Dependencies, FailedJob, RunningJob, StoredFormats
from rqmon.doctor.tracebacks import class_of, compressed_start, stored_exception
from rqmon.exporter.reading.pipeline import pairs
from rqmon.exporter.reading.registries import key_of, shown, timestamp
from rqmon.exporter.reading.snapshot import QueueState

# Of each kind of job so many are looked at, spread over the queues that have some.
_SAMPLE = 100
_BETWEEN = 20
_MOST_JOBS = 1_000
# A job that depends on more is passed over, as is one of which that can't be read.
_DEPENDENCIES = 20
_DEPENDENCY_FIELDS = ("dependency_ids", "dependency_id", "allow_dependency_failures")
_RUNNING_FIELDS = ("started_at", "timeout", "worker_name", "status")
# Arguments of megabytes say no more about how they are written.
_MOST_DATA = 1 << 16
# By the first byte.
_FORMATS = {b"\x80": "pickle", b"[": "json"}


def key_of_job(id_: bytes) -> bytes:
    """The key of a job."""
    return Job.redis_job_namespace_prefix.encode() + id_


def key_of_results(id_: bytes) -> bytes:
    """The key of a job's results, a stream."""
    key: str = Result.get_key("")  # type: ignore[no-untyped-call]  # rq leaves it untyped
    return key.encode() + id_


def of_queues(queues: Sequence[tuple[QueueState, bytes]]) -> Commands:
    """What to ask of each queue that has jobs of a kind, given with its name as Redis holds it."""
    commands: Commands = {}
    for queue, name in queues:
        if queue.jobs.get("started"):
            key = key_of(StartedJobRegistry, name)
            commands["alive", queue.name] = ("ZRANGE", key, 0, _SAMPLE - 1, "WITHSCORES")
        if queue.intermediate:
            key = key_of_queue(name) + b":intermediate"
            commands["between", queue.name, key] = ("LRANGE", key, 0, _BETWEEN - 1)
    for shown_name, name, number in _spread(queues, "failed"):
        commands["failed", shown_name] = ("ZRANGE", key_of(FailedJobRegistry, name), -number, -1)
    for shown_name, name, number in _spread(queues, "deferred"):
        commands["deferred", shown_name] = ("ZRANGE", key_of(DeferredJobRegistry, name), 0, number - 1)
    for shown_name, name, number in _spread(queues, "queued"):
        commands["queued", shown_name] = ("LRANGE", key_of_queue(name), 0, number - 1)
    return commands


def key_of_queue(queue: bytes) -> bytes:
    """The key of a queue's list."""
    return Queue.redis_queue_namespace_prefix.encode() + queue


def _spread(queues: Sequence[tuple[QueueState, bytes]], status: str) -> Iterator[tuple[str, bytes, int]]:
    """The queues with most jobs of a status, by both names, and how many to look at in each."""
    some = [(queue.jobs[status], queue.name, name) for queue, name in queues if queue.jobs.get(status)]
    for _, shown_name, name in sorted(some, reverse=True)[:_SAMPLE]:
        yield shown_name, name, max(1, _SAMPLE // len(some))


def of_jobs(second: Answers) -> Commands:
    """What to ask of the jobs that were found."""
    commands: Commands = {}
    for (queue,), ids in of(second, "failed"):
        for id_ in ids:
            commands["result", queue, id_] = ("XREVRANGE", key_of_results(id_), "+", "-", "COUNT", 1)
            commands["exc_info", queue, id_] = ("HGET", key_of_job(id_), "exc_info")
    for (queue,), ids in of(second, "deferred"):
        for id_ in ids:
            commands["dependencies", queue, id_] = ("HMGET", key_of_job(id_), *_DEPENDENCY_FIELDS)
    for _, members in of(second, "alive"):
        for member in pairs(members):
            if len(commands) < _MOST_JOBS:
                id_ = member.rpartition(b":")[0]  # what follows is the execution's own id
                commands["running", id_] = ("HMGET", key_of_job(id_), *_RUNNING_FIELDS)
    for _, ids in of(second, "queued"):
        for id_ in ids:
            commands["size", id_] = ("HSTRLEN", key_of_job(id_), "data")
    return commands


def of_dependencies(third: Answers) -> Commands:
    """What to ask of the jobs that deferred ones wait for, and then whether those wait still."""
    commands: Commands = {}
    for (queue, id_), (ids, first, _) in of(third, "dependencies"):
        found = dependency_ids(ids, first)
        if 0 < len(found) <= _DEPENDENCIES:
            for dependency in found:
                commands["dependency", queue, id_, dependency] = of_dependency(dependency)
            commands["waits", queue, id_] = ("HGET", key_of_job(id_), "status")
    return commands


def of_dependency(id_: str) -> tuple[Any, ...]:
    """The command that asks how a job is that another depends on; no job has half a character in its id."""
    return ("HGET", key_of_job(id_.encode(errors="replace")), "status")


def dependency_ids(ids: bytes | None, id_: bytes | None) -> list[str]:
    """What a job depends on, from its two fields; nothing where they can't be read."""
    try:
        found = json.loads(ids) if ids else [id_.decode()] if id_ else []
    except (ValueError, RecursionError):
        return []
    return [it for it in found if isinstance(it, str)] if isinstance(found, list) else []


def of_data(third: Answers) -> Commands:
    """Commands for the data of waiting jobs, where it is small."""
    return {
        ("data", id_): ("HGET", key_of_job(id_), "data")
        for (id_,), size in of(third, "size")
        if 0 < size <= _MOST_DATA
    }


def between(second: Answers) -> dict[tuple[str, bytes], list[bytes]]:
    """The ids between a queue and its workers, by the queue's name and the list's key."""
    return {(queue, key): ids for (queue, key), ids in of(second, "between") if ids}


def still(found: Mapping[tuple[str, bytes], list[bytes]]) -> Commands:
    """Commands that tell whether they are there still."""
    return {
        ("still", queue, id_): ("LPOS", key, id_, "MAXLEN", 1000)
        for (queue, key), ids in found.items()
        for id_ in ids
    }


def stuck(found: Mapping[tuple[str, bytes], list[bytes]], fourth: Answers) -> dict[str, tuple[str, ...]]:
    """The ids that stayed between a queue and its workers."""
    stayed = {
        queue: tuple(shown(id_) for id_ in ids if fourth.get(("still", queue, id_)) is not None)
        for (queue, _), ids in found.items()
    }
    return {queue: ids for queue, ids in stayed.items() if ids}


def alive_until(second: Answers) -> dict[str, tuple[float, ...]]:
    """Until when executions of a queue count as alive, in Unix seconds."""
    return {
        queue: tuple(float(score) for score in pairs(members).values())
        for (queue,), members in of(second, "alive")
    }


def failed(second: Answers, third: Answers) -> tuple[FailedJob, ...]:
    """The newest failed jobs and their exceptions, the newest first."""
    found = []
    for (queue,), ids in of(second, "failed"):
        for id_ in reversed(ids):
            result, exc_info = third.get(("result", queue, id_)), third.get(("exc_info", queue, id_))
            exception = class_of(stored_exception(latest(result), exc_info))
            found.append(FailedJob(queue, shown(id_), exception))
    return tuple(found)


def latest(results: Any) -> Mapping[bytes, bytes] | None:
    """The fields of a job's latest result, from the answer to XREVRANGE."""
    fields: Mapping[bytes, bytes] | None = results[0][1] if results else None
    return fields


def running(third: Answers) -> tuple[RunningJob, ...]:
    """The jobs that run; a time that can't be read is unknown."""
    found = []
    for (id_,), (started_at, timeout, worker, status) in of(third, "running"):
        if status == b"started":
            try:
                since = timestamp(started_at)
            except ValueError:
                since = None
            seconds = float(timeout) if timeout and timeout.isdigit() else None
            found.append(RunningJob(shown(worker or b""), shown(id_), since, seconds))
    return tuple(found)


def deferred(third: Answers, fourth: Answers) -> tuple[DeferredJob, ...]:
    """Deferred jobs and what they wait for."""
    statuses: dict[tuple[str, bytes], dict[str, str]] = defaultdict(dict)
    for (queue, id_, dependency), status in of(fourth, "dependency"):
        statuses[queue, id_][dependency] = shown(status or b"")
    return tuple(
        DeferredJob(
            queue,
            shown(id_),
            Dependencies(statuses[queue, id_], may_fail=third["dependencies", queue, id_][-1] == b"1"),
        )
        for (queue, id_), status in of(fourth, "waits")
        if status == b"deferred"
    )


def formats(fourth: Answers) -> StoredFormats:
    """How the sampled jobs are written, by the first byte of their data; nothing is unpickled."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for (id_,), data in of(fourth, "data"):
        if data is not None:  # else it has just gone
            name = _FORMATS.get(compressed_start(data), "another serializer")
            counts[name] += 1
            examples.setdefault(name, shown(id_))
    return StoredFormats(dict(counts), examples)
