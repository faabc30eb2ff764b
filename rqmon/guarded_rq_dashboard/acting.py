"""Requeues and deletes jobs and compacts queues: each job on its own, in transactions of a few hundred.

RQ takes several round trips for each job and stops at the first job that is gone. A job that it requeues
still expires when its failure would have.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import WatchError
from rq import Queue
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.executions import ExecutionRegistry
from rq.group import Group
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result
from rq.utils import now, utcformat

from rqmon.guarded_rq_dashboard.reading import REGISTRIES, answers, dependencies_key, job_id
from scheduler.queues import purge

_BATCH = 500
# A batch is built again when one of its jobs has changed meanwhile. A second try is nearly always enough.
_TRIES = 10

_FIELDS = ["data", "origin", "ttl", "group_id"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some jobs.

    Attributes:
        done: How many jobs were requeued, or deleted.
        gone: The jobs that were gone already; they are now removed from their list too.
        changed: The jobs that others kept changing; they are left as they were.
    """

    done: int = 0
    gone: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(self.done + other.done, self.gone + other.gone, self.changed + other.changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What is known of a job before it is requeued or deleted."""

    id: str
    entry: bytes  # in its registry
    queue_name: str
    ttl_seconds: int | None
    group: str | None


def requeue_all(redis: Redis, queue_name: str) -> Outcome:
    """Queue all failed jobs of a queue again."""
    key = FailedJobRegistry(queue_name, connection=redis).key
    return _each(redis, _Listed(queue_name, "failed", cast(list[bytes], redis.zrange(key, 0, -1))), _requeue)


def requeue(redis: Redis, id_: str) -> None:
    """Queue one failed job again.

    Raises:
        NoSuchJobError: It is gone.
        InvalidJobOperation: It is not among the failed jobs.
    """
    origin = cast(bytes | None, redis.hget(Job.key_for(id_), "origin"))
    if origin is None:
        raise NoSuchJobError
    outcome = _each(redis, _Listed(origin.decode(errors="replace"), "failed", [id_.encode()]), _requeue)
    if outcome.gone:
        raise NoSuchJobError
    if not outcome.done:
        raise InvalidJobOperation


def empty(redis: Redis, queue_name: str, state: str) -> Outcome:
    """Delete all jobs of a queue that are in its list (`queued`) or in one of its registries."""
    if state == "queued":
        return Outcome(done=purge(Queue(queue_name, connection=redis)))
    key = REGISTRIES[state](queue_name, connection=redis).key
    return _each(redis, _Listed(queue_name, state, cast(list[bytes], redis.zrange(key, 0, -1))), _delete)


def delete(redis: Redis, id_: str) -> None:
    """Delete one job, wherever it is listed.

    Raises:
        NoSuchJobError: It is gone.
    """
    job = _read(redis, "", [(id_, b"")])[0]
    if job is None:
        raise NoSuchJobError
    executions = ExecutionRegistry(id_, redis).get_execution_ids()
    with redis.pipeline() as pipeline:
        pipeline.lrem(Queue(job.queue_name, connection=redis).key, 0, id_)
        for registry in REGISTRIES.values():
            key = registry(job.queue_name, connection=redis).key
            pipeline.zrem(key, id_, *(f"{id_}:{execution}" for execution in executions))
        _delete(pipeline, job)
        pipeline.execute()


def compact(redis: Redis, queue_name: str) -> Outcome:
    """Remove from a queue's list the jobs that are gone; the others keep their places."""
    key = Queue(queue_name, connection=redis).key
    entries = cast(list[bytes], redis.lrange(key, 0, -1))
    gone = []
    for start in range(0, len(entries), _BATCH):
        batch = entries[start : start + _BATCH]
        with redis.pipeline(transaction=False) as pipeline:
            for entry in batch:
                pipeline.exists(Job.key_for(job_id(entry, "queued")))
            there = pipeline.execute()
        missing = [entry for entry, exists in zip(batch, there, strict=True) if not exists]
        with redis.pipeline() as pipeline:
            for entry in missing:
                pipeline.lrem(key, 1, cast(str, entry))  # redis-py takes bytes too
            pipeline.execute()
        gone += [job_id(entry, "queued") for entry in missing]
    return Outcome(gone=gone)


@dataclass(frozen=True, slots=True)
class _Listed:
    """Entries of one registry of a queue."""

    queue_name: str
    state: str
    entries: list[bytes]


def _each(redis: Redis, listed: _Listed, act: Callable[[Pipeline, _Job], None]) -> Outcome:
    outcome = Outcome()
    for start in range(0, len(listed.entries), _BATCH):
        batch = _Listed(listed.queue_name, listed.state, listed.entries[start : start + _BATCH])
        outcome += _transaction(redis, batch, act)
    return outcome


def _transaction(redis: Redis, listed: _Listed, act: Callable[[Pipeline, _Job], None]) -> Outcome:
    """Act on the jobs that are still listed, and remove from the list those that are gone.

    A job's hash changes with everything that is done to it. So watching the hashes shows whether somebody
    else acts on these jobs, and is not disturbed by other jobs that fail meanwhile.
    """
    key = REGISTRIES[listed.state](listed.queue_name, connection=redis).key
    named = [(job_id(entry, listed.state), entry) for entry in listed.entries]
    for _ in range(_TRIES):
        with redis.pipeline() as pipeline, contextlib.suppress(WatchError):
            pipeline.watch(*(Job.key_for(id_) for id_, _ in named))  # type: ignore[no-untyped-call]  # redis-py
            with redis.pipeline(transaction=False) as scores:
                for entry in listed.entries:
                    scores.zscore(key, entry)
                still_listed = scores.execute()
            jobs = _read(redis, listed.queue_name, named)
            pipeline.multi()
            done, gone = 0, []
            for (id_, entry), job, score in zip(named, jobs, still_listed, strict=True):
                if score is None:
                    continue
                pipeline.zrem(key, entry)
                if job is None:
                    gone.append(id_)
                else:
                    act(pipeline, job)
                    done += 1
            pipeline.execute()
            return Outcome(done, gone)
    return Outcome(changed=[id_ for id_, _ in named])


def _read(redis: Redis, queue_name: str, named: list[tuple[str, bytes]]) -> list[_Job | None]:
    """The jobs of these ids and entries; None for those that are gone."""
    with redis.pipeline(transaction=False) as pipeline:
        for id_, _ in named:
            pipeline.hmget(Job.key_for(id_), _FIELDS)
        found = answers(pipeline)
    return [
        _job(id_, entry, fields, queue_name=queue_name) if fields and fields[0] is not None else None
        for (id_, entry), fields in zip(named, found, strict=True)
    ]


def _job(id_: str, entry: bytes, fields: list[bytes | None], *, queue_name: str) -> _Job:
    _, origin, ttl, group = fields
    return _Job(
        id=id_,
        entry=entry,
        queue_name=origin.decode(errors="replace") if origin else queue_name,
        ttl_seconds=int(ttl) if ttl and ttl.isdigit() else None,
        group=group.decode(errors="replace") if group else None,
    )


def _requeue(pipeline: Pipeline, job: _Job) -> None:
    key = Job.key_for(job.id)
    fields = {
        "status": JobStatus.QUEUED.value,
        "enqueued_at": utcformat(now()),
        "started_at": "",
        "ended_at": "",
    }
    pipeline.hset(key, mapping=fields)
    pipeline.hdel(key, "exc_info")
    if job.ttl_seconds:
        for each in (key, Job.dependents_key_for(job.id), dependencies_key(job.id)):
            pipeline.expire(each, job.ttl_seconds)
    else:
        pipeline.persist(key)
    queue = f"{Queue.redis_queue_namespace_prefix}{job.queue_name}"
    pipeline.sadd(Queue.redis_queues_keys, queue)
    pipeline.rpush(queue, job.id)


def _delete(pipeline: Pipeline, job: _Job) -> None:
    executions = ExecutionRegistry.key_template.format(job.id)
    pipeline.delete(
        *(Job.key_for(job.id), Job.dependents_key_for(job.id), dependencies_key(job.id)),
        *(Result.get_key(job.id), executions),  # type: ignore[no-untyped-call]  # rq leaves it untyped
    )
    if job.group:
        pipeline.srem(Group.get_key(job.group), job.id)
