"""RQ's maintenance, done so that a job whose clean-up fails affects no other job.

RQ gives up all executions of dead workers in one transaction, after running their callbacks: a callback that
raises blocks the others for ever. It does so under a lock of 15 minutes, which nobody releases when its owner
dies or a step raises.
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from redis.client import Pipeline
from redis.exceptions import WatchError
from rq import Queue, worker_registration
from rq.exceptions import AbandonedJobError, NoSuchJobError, StopRequested
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry, clean_registries
from rq.timeouts import JobTimeoutException
from rq.utils import current_timestamp
from rq.worker import BaseWorker

from scheduler.ledger import jobs as ledger
from scheduler.workers.persistence import passes, statuses_in_transactions

# The lock is renewed before each job. A callback that outlasts it lets another worker in, which is harmless:
# an execution is given up once, and its callbacks run once.
_LOCK_SECONDS = 60
# Marks a callback that ended its worker; it is not run again.
_CALLBACKS_BEGAN = "rqmon:callbacks:{}"
_CALLBACKS_BEGAN_SECONDS = 86_400
_ENDED = (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED)
_log = logging.getLogger(__name__)


def clean(worker: BaseWorker, queue: Queue) -> None:
    """Do RQ's maintenance of a queue, unless another worker is doing it."""
    connection: Any = queue.connection
    lock, holder = queue.registry_cleaning_key, worker.name.encode()
    if not connection.set(lock, holder, nx=True, ex=_LOCK_SECONDS):
        return
    worker.log.info("Worker %s: cleaning registries for queue: %s", worker.name, queue.name)
    try:
        registry = StartedJobRegistry(queue=queue)
        for member in connection.zrangebyscore(registry.key, 0, current_timestamp()):
            connection.expire(lock, _LOCK_SECONDS)
            with _alone(f"giving up execution {member!r}"):
                _give_up(worker, queue, member.decode())
        with _alone(f"cleaning the registries of {queue.name}"):
            clean_registries(queue, worker._exc_handlers)
        with _alone(f"cleaning the workers of {queue.name}"):
            worker_registration.clean_worker_registry(queue)
        intermediate = queue.intermediate_queue
        with _alone(f"looking for what was lost between {queue.name} and a worker"):
            for job_id in intermediate.get_job_ids():
                intermediate.get_job_ids = lambda job_id=job_id: [job_id]  # type: ignore[method-assign, misc]
                with _alone(f"looking for job {job_id}, which was lost between its queue and its start"):
                    intermediate.cleanup(worker, queue)
    finally:
        if connection.get(lock) == holder:
            connection.delete(lock)


@contextmanager
def _alone(step: str) -> Iterator[None]:
    """Log a step's error, unless the worker is to stop or Redis is away: the worker deals with those."""
    try:
        yield
    except StopRequested:
        raise
    except Exception as error:
        if passes(error):
            raise
        _log.exception("%s failed", step)


def _give_up(worker: BaseWorker, queue: Queue, token: str) -> None:
    """Fail the job of an execution whose worker died, or retry it, and count that, in one transaction."""
    connection, registry = queue.connection, StartedJobRegistry(queue=queue)
    execution = Execution.from_composite_key(token, connection=connection)
    job: Job | None = None
    with connection.pipeline() as pipe:
        pipe.watch(execution.key, Job.key_for(execution.job_id))  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        if (_score(registry, token) or math.inf) > current_timestamp():
            return  # somebody else did it, or its worker lives after all
        noted = ledger.is_noted(connection, token)
        with _alone(f"reading job {execution.job_id}"), suppress(NoSuchJobError):
            job = queue.job_class.fetch(execution.job_id, connection=connection, serializer=queue.serializer)
        if job and not _is_lost(job, registry, noted=noted):
            job = None
        if job:
            _run_callbacks(worker, job, token)
        retried = bool(job and job.should_retry)
        why = f"Moved to FailedJobRegistry, due to AbandonedJobError, at {datetime.now(UTC)}"
        pipe.multi()
        if job:
            _end(job, queue, pipe, why=None if retried else why)
        pipe.zrem(registry.key, token)
        pipe.zrem(ExecutionRegistry(execution.job_id, connection).key, execution.id)
        pipe.delete(execution.key)
        ledger.count_abandoned(pipe, token, runs_again=retried)
        try:
            pipe.execute()
        except WatchError:
            return  # somebody else did it, or its worker lives after all
    if job and not retried:
        job.send_webhooks(JobStatus.FAILED, exc_string=why)
        queue.enqueue_dependents(job)


def _score(registry: StartedJobRegistry, token: str) -> float | None:
    """Return when an execution's heartbeat expires, in Unix seconds; None if the execution ended."""
    connection: Any = registry.connection
    score: float | None = connection.zscore(registry.key, token)
    return score


def _is_lost(job: Job, registry: StartedJobRegistry, *, noted: bool) -> bool:
    """Whether the job has not ended and does not run again. RQ leaves entries of some ended executions.

    Without a note, the execution has ended, or none of our workers ran it.
    """
    status = job.get_status(refresh=False)
    if status in _ENDED or not (noted or status == JobStatus.STARTED):
        return False
    tokens = [f"{job.id}:{id_}" for id_ in job.execution_registry.get_execution_ids()]
    return all((_score(registry, token) or 0) <= current_timestamp() for token in tokens)


def _end(job: Job, queue: Queue, pipe: Pipeline, *, why: str | None) -> None:
    """Fail a job for a reason; without one, retry it."""
    with statuses_in_transactions(job):
        if why is None:
            job.retry(queue, pipe)
        else:
            job.set_status(JobStatus.FAILED, pipeline=pipe)
            job._handle_failure(why, pipe)
    # If its worker dies at once, the job is found there again, and failed again.
    pipe.lrem(queue.intermediate_queue_key, 1, job.id)


def _run_callbacks(worker: BaseWorker, job: Job, token: str) -> None:
    """Run the job's `on_failure` and the worker's handlers; whatever they raise is logged."""
    if not (job._failure_callback_name or worker._exc_handlers):
        return
    began = _CALLBACKS_BEGAN.format(token)
    if not job.connection.set(began, 1, nx=True, ex=_CALLBACKS_BEGAN_SECONDS):
        _log.error("a callback of job %s ended a worker: they are not run again", job.id)
        return
    try:
        if callback := job.failure_callback:
            with worker.death_penalty_class(job.failure_callback_timeout, JobTimeoutException, job_id=job.id):
                callback(job, job.connection, AbandonedJobError, AbandonedJobError(), None)
        for handler in worker._exc_handlers:
            if handler(job, AbandonedJobError, AbandonedJobError(), None) not in (None, True):
                break
    except BaseException as error:
        if isinstance(error, StopRequested) or worker._shutdown_requested_date:
            job.connection.delete(began)
            raise
        _log.exception("a callback of job %s, whose worker died, failed", job.id)
