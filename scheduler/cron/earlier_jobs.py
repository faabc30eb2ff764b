"""Finds out for `overlap="skip"` whether the job of an entry's previous slot is still to be done."""

import contextlib
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError
from rq import Queue
from rq.executions import ExecutionRegistry
from rq.job import Job
from rq.registry import DeferredJobRegistry, ScheduledJobRegistry, StartedJobRegistry

from scheduler.connections.refusals import refusal
from scheduler.cron.store.keys import LAST_JOB

_NOT_DONE = (b"queued", b"scheduled", b"deferred", b"started")

# RQ's workers of several queues hold a job for a moment: it is then in no list and not yet started.
_HANDOVER_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The entries whose previous job is still to be done, and those not known yet, to be asked again."""

    busy: frozenset[bytes]
    unsure: frozenset[bytes]


class EarlierJobs:
    """Finds the jobs of the previous slots.

    A job's status alone is not enough: a job whose queue was deleted by hand stays "queued" for ever. A job
    is still to be done while it is in its queue, held by a worker, running, scheduled for a retry, or
    deferred.
    """

    def __init__(self, connection: Redis) -> None:
        self._connection: Any = connection
        self._nowhere_since: dict[str, float] = {}

    def ask(self, ids: Iterable[bytes]) -> Earlier:
        """Ask which of these entries' previous jobs are still to be done."""
        ids = list(ids)
        if not ids:
            return Earlier(frozenset(), frozenset())
        jobs = self._jobs(ids)
        with self._connection.pipeline(transaction=False) as pipe:
            for job in jobs.values():
                pipe.hmget(Job.key_for(job), "status", "origin")
            answers = pipe.execute(raise_on_error=False)
        queues = {
            id_: answer[1].decode(errors="replace")
            for id_, answer in zip(jobs, answers, strict=True)
            if not isinstance(answer, ResponseError) and answer[0] in _NOT_DONE and answer[1]
        }
        with self._connection.pipeline(transaction=False) as pipe:
            for id_, queue in queues.items():
                self._look_for(pipe, jobs[id_], queue)
            answers = pipe.execute(raise_on_error=False)
        places = len(answers) // len(queues) if queues else 0
        found = {
            id_: _is_somewhere(jobs[id_], answers[number * places : (number + 1) * places])
            for number, id_ in enumerate(queues)
        }
        return Earlier(
            busy=frozenset(id_ for id_, is_somewhere in found.items() if is_somewhere),
            unsure=self._unsure({jobs[id_] for id_, is_somewhere in found.items() if not is_somewhere}, jobs),
        )

    def _jobs(self, ids: list[bytes]) -> dict[bytes, str]:
        """Return the ids of the previous jobs, without those that can't be a job's id."""
        try:
            found = self._connection.hmget(LAST_JOB, ids)
        except ResponseError as error:
            if refusal(error):
                raise
            _log.error("cron_counts_failed", extra={"errors": [f"{LAST_JOB}: {error}"]})
            return {}
        jobs = {}
        for id_, job in zip(ids, found, strict=True):
            with contextlib.suppress(UnicodeDecodeError):
                jobs[id_] = job.decode() if job else ""
        return jobs

    def _look_for(self, pipe: Any, job: str, queue_name: str) -> None:
        queue = Queue(queue_name, connection=self._connection)
        for key in (queue.key, queue.intermediate_queue_key):
            pipe.lpos(key, job, rank=-1)  # from the end, where a slot's job was put
        for registry in (ScheduledJobRegistry(queue=queue), DeferredJobRegistry(queue=queue)):  # type: ignore[no-untyped-call]  # rq leaves them untyped
            pipe.zscore(registry.key, job)
        pipe.exists(ExecutionRegistry(job, connection=self._connection).key)
        pipe.zrange(StartedJobRegistry(queue=queue).key, 0, -1)

    def _unsure(self, nowhere: set[str], jobs: dict[bytes, str]) -> frozenset[bytes]:
        """Return the entries whose job is nowhere, but not for long enough to be sure."""
        now = time.monotonic()
        self._nowhere_since = {job: self._nowhere_since.get(job, now) for job in nowhere}
        unsure = set()
        for id_, job in jobs.items():
            if job not in nowhere:
                continue
            if now - self._nowhere_since[job] < _HANDOVER_SECONDS:
                unsure.add(id_)
            else:
                _log.warning("cron_job_nowhere", extra={"cron_id": repr(id_), "job_id": job})
        return frozenset(unsure)


def _is_somewhere(job: str, answers: list[Any]) -> bool:
    """Whether the job is in one of the places. A key of the wrong type has none."""
    *lists, executions, started = [None if isinstance(it, ResponseError) else it for it in answers]
    return (
        any(it is not None for it in lists)
        or bool(executions)
        or any(it.decode(errors="replace").split(":")[0] == job for it in started or ())
    )
