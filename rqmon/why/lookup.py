"""Reads what is known of one job, in two round trips, and again if it moves meanwhile."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from redis import Redis
from rq import Queue
from rq.executions import ExecutionRegistry
from rq.registry import ScheduledJobRegistry, StartedJobRegistry
from rq.suspension import WORKERS_SUSPENDED

from rqmon.doctor import worker_facts as workers
from rqmon.doctor.asking import Answers, Commands, ask
from rqmon.doctor.facts import Dependencies
from rqmon.doctor.job_facts import (
    dependency_ids,
    key_of_job,
    key_of_queue,
    key_of_results,
    latest,
    of_dependency,
)
from rqmon.doctor.tracebacks import stored_exception
from rqmon.exporter.reading.registries import key_of, shown, timestamp
from rqmon.why.job import JobFacts
from scheduler.cron.clock import from_answer, server_time
from scheduler.ledger.job_counts import parse
from scheduler.ledger.jobs import COUNTS
from scheduler.queues import REGISTRIES

T = TypeVar("T")

_FIELDS = (
    *("status", "origin", "description", "enqueued_at", "started_at", "ended_at", "timeout"),
    *("retries_left", "repeats_left", "exc_info", "worker_name", "rate_limit_key"),
    *("dependency_ids", "dependency_id", "allow_dependency_failures"),
)
_RUNS = {b"1": "succeeded", b"2": "failed", b"3": "stopped", b"4": "retried"}
# Between the end that a job has and the one that its result has.
_SAME_END_SECONDS = 0.001
# A started job is in a registry of executions.
_REGISTRIES = {status: kind for status, kind in REGISTRIES.items() if status != "started"}
_MOST_QUEUES = 5_000
# A job that moves meanwhile is looked at again: what is around it no longer fits.
_LOOKS = 3


def take(connection: Redis, job_id: str, *, serializer: str, has_stack: bool) -> JobFacts:
    """Read a job and its surroundings.

    Args:
        connection: Of the server.
        job_id: The job's.
        serializer: What `RQ_SERIALIZER` says.
        has_stack: Whether a stack was started here.

    Raises:
        redis.RedisError: Redis does not answer, or refuses.
    """
    for _ in range(_LOOKS):
        found, stayed = _look(connection, job_id)
        if stayed:
            break
    return replace(found, serializer=serializer, has_stack=has_stack)


def _look(connection: Redis, job_id: str) -> tuple[JobFacts, bool]:
    """Read everything once; the facts, and whether the job had the same status all the while."""
    id_ = job_id.encode(errors="surrogateescape")
    key = key_of_job(id_)
    first = ask(
        connection,
        {
            **workers.COMMANDS,
            ("time",): ("TIME",),
            ("job",): ("HMGET", key, *_FIELDS),
            ("expires",): ("PTTL", key),
            ("result",): ("XREVRANGE", key_of_results(id_), "+", "-", "COUNT", 1),
            ("executions",): ("ZRANGE", key_of(ExecutionRegistry, id_), 0, -1),
            ("suspended",): ("EXISTS", WORKERS_SUSPENDED),
            ("queues",): ("SMEMBERS", Queue.redis_queues_keys),
        },
    )
    # Where all of it was refused, asking again says why.
    time = from_answer(first["time",]) if ("time",) in first else server_time(connection)
    now = time.timestamp()
    job: Mapping[str, bytes] = {
        name: value
        for name, value in zip(_FIELDS, first.get(("job",), ()), strict=False)
        if value is not None
    }
    if "status" not in job and "origin" not in job:
        return JobFacts(id=job_id, now=now, left_in=_left_in(connection, id_, first)), True
    return _found(connection, job_id, job, first, now=now)


def _found(
    connection: Redis, job_id: str, job: Mapping[str, bytes], first: Answers, *, now: float
) -> tuple[JobFacts, bool]:
    id_ = job_id.encode(errors="surrogateescape")
    queue = job.get("origin", b"")
    commands: Commands = {
        **workers.of_workers(first),
        ("position",): ("LPOS", key_of_queue(queue), id_),
        ("queued",): ("LLEN", key_of_queue(queue)),
        ("between",): ("LPOS", key_of_queue(queue) + b":intermediate", id_),
        ("due",): ("ZSCORE", key_of(ScheduledJobRegistry, queue), id_),
        ("scheduler",): ("EXISTS", workers.scheduler_lock(queue)),
        ("counts",): ("HGETALL", COUNTS),
    }
    for execution in first.get(("executions",), ())[-1:]:
        commands["alive",] = ("ZSCORE", key_of(StartedJobRegistry, queue), id_ + b":" + execution)
    dependencies = dependency_ids(job.get("dependency_ids"), job.get("dependency_id"))
    for dependency in dependencies:
        commands["dependency", dependency] = of_dependency(dependency)
    limit = job.get("rate_limit_key")
    if limit is not None:
        commands["held",] = ("ZRANK", _held_key(limit), id_)
    commands["status",] = ("HGET", key_of_job(id_), "status")
    second = ask(connection, commands)
    result = first.get(("result",))
    name = shown(queue)
    life = first.get(("expires",), -1)
    facts = JobFacts(
        id=job_id,
        now=now,
        status=shown(job.get("status", b"")),
        queue=name,
        description=shown(job.get("description", b"")),
        enqueued_at=_read(job.get("enqueued_at"), timestamp),
        started_at=_read(job.get("started_at"), timestamp),
        ended_at=_read(job.get("ended_at"), timestamp),
        timeout_seconds=_timeout(job.get("timeout")),
        retries_left=_read(job.get("retries_left"), int),
        repeats_left=_read(job.get("repeats_left"), int),
        last_run=_last_run(latest(result), _read(job.get("ended_at"), timestamp)),
        exception=stored_exception(latest(result), job.get("exc_info")),
        result_at=int(result[0][0].partition(b"-")[0]) / 1000 if result else None,
        expires_at=now + life / 1000 if life >= 0 else None,
        worker=shown(job.get("worker_name", b"")),
        suspended=bool(first.get(("suspended",))),
        position=second.get(("position",)),
        queued=second.get(("queued",), 0),
        is_between=second.get(("between",)) is not None,
        due_at=second.get(("due",)),
        heartbeat_until=second.get(("alive",)),
        with_scheduler=bool(second.get(("scheduler",))),
        listeners=tuple(it for it in workers.parse(second, now=now) if it.listens_to(name)),
        mean_run_seconds=_mean_run_seconds(second.get(("counts",), {}), name),
        dependencies=Dependencies(
            {it: shown(second.get(("dependency", it)) or b"") for it in dependencies},
            may_fail=job.get("allow_dependency_failures") == b"1",
        ),
        limit=None if limit is None else (shown(limit), second.get(("held",)) or 0),
    )
    return facts, second.get(("status",)) == job.get("status")


def _last_run(result: Mapping[bytes, bytes] | None, ended_at: float | None) -> str:
    """How the last run ended, where the latest result is of that one."""
    ended = _read((result or {}).get(b"execution_ended_at"), float)
    if result is None or ended is None or ended_at is None or abs(ended - ended_at) > _SAME_END_SECONDS:
        return ""
    return _RUNS.get(result.get(b"type", b""), "")


def _held_key(limit: bytes) -> bytes:
    # Only rq 3 has jobs with such a key, and the module that knows it.
    from rq.rate_limit import RateLimitRegistry  # type: ignore[import-not-found]  # the types are those of rq 2

    template: str = RateLimitRegistry("{}", connection=None).rate_limited_key
    return template.encode().replace(b"{}", limit)


def _left_in(connection: Redis, id_: bytes, first: Answers) -> tuple[str, ...]:
    """Where the id of a job without data still is."""
    prefix = Queue.redis_queue_namespace_prefix.encode()
    queues = [it.removeprefix(prefix) for it in sorted(first.get(("queues",), ()))[:_MOST_QUEUES]]
    commands: Commands = {}
    for queue in queues:
        commands["queue", queue] = ("LPOS", key_of_queue(queue), id_)
        for status, kind in _REGISTRIES.items():
            commands[status, queue] = ("ZSCORE", key_of(kind, queue), id_)
    places = ask(connection, commands)
    return tuple(
        f"{status} jobs of {shown(queue)}" if status != "queue" else f"queue {shown(queue)}"
        for (status, queue), place in places.items()
        if place is not None
    )


def _mean_run_seconds(counts: Mapping[bytes, bytes], queue: str) -> float | None:
    runs = [run for (where, _), run in parse(counts).run.items() if where == queue]
    number = sum(sum(run.buckets.values()) for run in runs)
    return sum(run.sum_seconds for run in runs) / number if number else None


def _timeout(text: bytes | None) -> float | None:
    seconds = _read(text, int)
    return float(seconds) if seconds and seconds > 0 else None


def _read(text: bytes | None, reader: Callable[[bytes], T]) -> T | None:
    """A field as it is meant; None where it can't be read."""
    try:
        return reader(text) if text else None
    except ValueError:
        return None
