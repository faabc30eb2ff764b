"""Reads from Redis what the pages show, in one or two round trips a page, and changes nothing there.

RQ's own readers remove what they find to be gone, unpickle, and stop at the first thing that they can't read.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError
from rq import Queue, Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.results import Result
from rq.serializers import Serializer
from werkzeug.http import http_date

from rqmon.guarded_rq_dashboard import values
from scheduler import queues

# In the order of the pages' columns.
REGISTRIES = {
    state: queues.REGISTRIES[state]
    for state in ("scheduled", "deferred", "started", "finished", "failed", "canceled")
}
_GONE = "This job is gone: it was deleted or its time to live is over."


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads with one connection and serializer.

    Attributes:
        redis: The Redis to read.
        serializer: How jobs are stored there.
        full_args: Whether a job's description has all of its arguments, at full length.
    """

    redis: Redis
    serializer: Serializer
    full_args: bool

    def queue_names(self) -> list[str]:
        """The names of all queues, sorted."""
        prefix = Queue.redis_queue_namespace_prefix
        keys = cast("set[bytes]", self.redis.smembers(Queue.redis_queues_keys))
        return sorted(values.text(key).removeprefix(prefix) for key in keys)

    def counts(self, names: list[str]) -> list[dict[str, int]]:
        """How many jobs each of these queues has in its list (`queued`) and in each registry."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.llen(Queue(name, connection=self.redis).key)
                for registry in REGISTRIES.values():
                    pipeline.zcard(registry(name, connection=self.redis).key)
            found = answers(pipeline)
        states = ("queued", *REGISTRIES)
        width = len(states)
        return [dict(zip(states, found[i * width : (i + 1) * width], strict=True)) for i in range(len(names))]

    def job_ids(
        self, queue_name: str, state: str, *, offset: int, count: int, newest_first: bool
    ) -> tuple[int, list[str]] | None:
        """How many jobs a list or registry has, and the ids of one page; None if the key holds no list."""
        last = offset + count - 1
        with self.redis.pipeline(transaction=False) as pipeline:
            if state == "queued":
                key = Queue(queue_name, connection=self.redis).key
                pipeline.llen(key)
                pipeline.lrange(key, *((-last - 1, -offset - 1) if newest_first else (offset, last)))
            else:
                key = REGISTRIES[state](queue_name, connection=self.redis).key
                pipeline.zcard(key)
                pipeline.zrange(key, offset, last, desc=newest_first)
            total, entries = answers(pipeline)
        if entries is None:
            return None
        if state == "queued" and newest_first:
            entries.reverse()
        return total, [job_id(entry, state) for entry in entries]

    def jobs(self, ids: list[str]) -> list[dict[str, Any]]:
        """The jobs of these ids that are still there, as rows of a list."""
        fields = ["created_at", "started_at", "ended_at", "description", "data"]
        with self.redis.pipeline(transaction=False) as pipeline:
            for id_ in ids:
                pipeline.hmget(Job.key_for(id_), fields)
                pipeline.xrevrange(Result.get_key(id_), count=1)  # type: ignore[no-untyped-call]  # rq's
            found = answers(pipeline)
        rows = []
        for id_, job, results in zip(ids, found[::2], found[1::2], strict=True):
            created_at, started_at, ended_at, description, data = job or [None] * len(fields)
            if data is None:
                continue
            row = {
                "id": id_,
                "created_at": values.date(created_at),
                "started_at": values.date(started_at),
                "ended_at": values.date(ended_at),
                "exc_info": values.traceback(results[0][1]) if results else None,
                "description": self._description(description, data),
            }
            rows.append(row)
        return rows

    def job(self, id_: str) -> dict[str, Any]:
        """All that a job's page shows.

        Raises:
            NoSuchJobError: The job is gone.
        """
        with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(Job.key_for(id_))
            pipeline.xrevrange(Result.get_key(id_), count=1)  # type: ignore[no-untyped-call]  # rq's
            pipeline.smembers(dependencies_key(id_))
            fields, results, depends_on = answers(pipeline)
        if not fields or b"data" not in fields:
            raise NoSuchJobError
        payload = results[0][1] if results else {}
        result = values.result(payload, self.serializer)
        as_json = values.as_json(result)
        meta = values.loaded(fields[b"meta"], self.serializer) if fields.get(b"meta") else {}
        job = {
            "id": id_,
            "created_at": values.date(fields.get(b"created_at")),
            "enqueued_at": values.date(fields.get(b"enqueued_at")),
            "started_at": values.date(fields.get(b"started_at")),
            "ended_at": values.date(fields.get(b"ended_at")),
            "origin": values.text(fields.get(b"origin")),
            "status": values.text(fields.get(b"status")),
            "result": values.shown(result) if as_json is None else json.loads(as_json),
            "result_text": values.shown(result, indent=2),
            "exc_info": values.traceback(payload),
            "description": self._description(fields.get(b"description"), fields[b"data"]),
            "metadata": values.shown(meta),
        }
        if depends_on:
            ids = sorted(values.text(each) for each in depends_on)
            with self.redis.pipeline(transaction=False) as pipeline:
                for each in ids:
                    pipeline.exists(Job.key_for(each))
                there = answers(pipeline)
            job["depends_on"] = ids
            job["depends_on_status"] = ["active" if each else "expired" for each in there]
        return job

    def workers(self) -> list[dict[str, Any]]:
        """All workers, the busy ones first, with the jobs that they run."""
        prefix = Worker.redis_worker_namespace_prefix
        keys = sorted(cast("set[bytes]", self.redis.smembers(Worker.redis_workers_keys)))
        with self.redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hgetall(key)  # type: ignore[arg-type]  # redis-py takes bytes too
                pipeline.smembers(key + b":executions")  # type: ignore[arg-type]
            found = answers(pipeline)
        workers = [
            (values.text(key).removeprefix(prefix), fields, _current_job(fields, executions))
            for key, fields, executions in zip(keys, found[::2], found[1::2], strict=True)
            if fields  # otherwise it has died, and no other worker has removed it yet
        ]
        running = self._running([job for _, _, job in workers])
        rows = [_worker(name, fields, job) for (name, fields, _), job in zip(workers, running, strict=True)]
        return sorted(rows, key=lambda row: (row["state"], row["queues"], row["name"]))

    def _running(self, ids: list[str]) -> list[dict[str, Any] | str]:
        with self.redis.pipeline(transaction=False) as pipeline:
            for id_ in ids:
                pipeline.hmget(Job.key_for(id_), ["description", "created_at", "data"])
            found = answers(pipeline)
        return [self._job_of_worker(id_, job) if id_ else "idle" for id_, job in zip(ids, found, strict=True)]

    def _job_of_worker(self, id_: str, fields: list[bytes | None] | None) -> dict[str, Any]:
        description, created_at, data = fields or (None, None, None)
        return {
            "job_id": id_,
            "description": _GONE if data is None else self._description(description, data),
            "created_at": values.date(created_at),
            "call_string": _GONE if data is None else values.call_string(data, self.serializer),
        }

    def _description(self, description: bytes | None, data: bytes) -> str:
        return (
            values.call_string(data, self.serializer, full=True)
            if self.full_args
            else values.text(description)
        )


def job_id(entry: bytes, state: str) -> str:
    """The job's id in an entry of a list or registry; a started job's entry also has its execution's id."""
    id_ = entry.decode(errors="replace")
    return id_.rpartition(":")[0] or id_ if state == "started" else id_


def _current_job(fields: dict[bytes, bytes], executions: set[bytes] | None) -> str:
    """The id of the job that a worker runs, or nothing: RQ 2 has it in the worker's hash, RQ 3 in a set."""
    if executions:
        return job_id(min(executions), "started")
    return values.text(fields.get(b"current_job"))


def dependencies_key(id_: str) -> str:
    """The key of what a job depends on. RQ offers it on jobs only, and makes none of an older RQ's ids."""
    return f"{Job.redis_job_namespace_prefix}:{id_}:dependencies"


def answers(pipeline: Pipeline) -> list[Any]:
    """A pipeline's answers; None for a key of another type, so that it costs only itself."""
    found = pipeline.execute(raise_on_error=False)
    for answer in found:
        if isinstance(answer, Exception) and not _is_wrong_type(answer):
            raise answer
    return [None if isinstance(answer, Exception) else answer for answer in found]


def _is_wrong_type(error: Exception) -> bool:
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)


def _worker(name: str, fields: dict[bytes, bytes], job: dict[str, Any] | str) -> dict[str, Any]:
    heartbeat, birth = (values.moment_of(fields.get(field)) for field in (b"last_heartbeat", b"birth"))
    return {
        "name": name,
        "pid": _number(fields.get(b"pid")),
        "queues": [each for each in values.text(fields.get(b"queues")).split(",") if each],
        "state": values.text(fields.get(b"state")) or "?",
        "current_job": job,
        "last_heartbeat": http_date(heartbeat) if heartbeat else None,
        "birth_date": http_date(birth) if birth else None,
        "successful_job_count": _number(fields.get(b"successful_job_count")) or 0,
        "failed_job_count": _number(fields.get(b"failed_job_count")) or 0,
        "total_working_time": _number(fields.get(b"total_working_time")) or 0,
        "version": values.text(fields.get(b"version")),
        "python_version": values.text(fields.get(b"python_version")),
    }


def _number(raw: bytes | None) -> int | float | None:
    try:
        number = float(raw or "nan")
    except ValueError:
        return None
    if not math.isfinite(number):
        return None  # JSON has no such number
    return int(number) if number.is_integer() else number
