"""Makes sure that a worker's writes are done once, however often Redis is away or refuses."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, WatchError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue
from rq.job import Job, JobStatus
from rq.utils import utcformat

from scheduler.connections.refusals import describe, refusal
from scheduler.errors import SchedulerError

# Longer than a restart or failover takes: otherwise the job's end and result would be lost.
_PATIENCE_SECONDS = 600.0
# As for other refusals. Less than the 60 s after which others give up a job in the intermediate list.
START_PATIENCE_SECONDS = 30.0
# For a worker that was told to stop: supervisors kill it after 30 s.
_STOPPING_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 5.0
# Tries in case of an error that waiting does not mend.
_TRIES = 3
# Redis always cuts the connection of a client that sends a larger value (`proto-max-bulk-len`).
_MOST_BYTES = 512 * 2**20

T = TypeVar("T")
_log = logging.getLogger(__name__)


class NotWritten(BaseException):
    """A transaction failed or its answer was lost; see its cause. No Exception, since RQ swallows those."""


class GivenUpError(Exception):
    """This worker may no longer begin the job."""


def passes(error: BaseException) -> bool:
    """Whether waiting helps: Redis does not answer, or says that it can't do this now."""
    lost = isinstance(error, RedisConnectionError | RedisTimeoutError | WatchError)
    return lost or refusal(error) is not None


def insist(
    connection: Redis,
    step: Callable[[bool], T],
    *,
    patience: float = _PATIENCE_SECONDS,
    stopping: Callable[[], bool] = lambda: False,
) -> T:
    """Repeat a step until Redis has accepted it, on a new connection after a refusal.

    Args:
        connection: The connection that the step uses.
        step: It is passed whether it was tried before. If so, it may have been done already and has to check.
        patience: How many seconds to keep trying.
        stopping: Whether the worker was told to stop; then it tries for five seconds at most.

    Raises:
        RedisError: The last error when patience ends, or after three tries if waiting does not mend it.
        Exception: Any other error of the step.
    """
    began, tries, pause = time.monotonic(), 0, 0.0
    error: BaseException | None = None
    while True:
        try:
            if error and not isinstance(error, WatchError):
                time.sleep(pause)
                _reconnect(connection)
            return step(tries > 0)
        except (RedisError, NotWritten) as raised:
            error = raised.__cause__ or raised if isinstance(raised, NotWritten) else raised
        tries += 1
        waited = time.monotonic() - began
        if not isinstance(error, RedisError) or waited > (_STOPPING_SECONDS if stopping() else patience):
            raise error
        if tries >= _TRIES and not passes(error):
            raise error
        if not isinstance(error, WatchError):
            pause = min(max(0.05, 2 * pause), _LONGEST_PAUSE_SECONDS)
            _log.warning("not written, trying again: %s", describe(error))


def _reconnect(connection: Redis) -> None:
    """Drop the last used connection: it may lead to the former primary."""
    pool = connection.connection_pool
    used = pool.get_connection()
    used.disconnect()
    pool.release(used)


def may_begin(job: Job) -> bool:
    """Whether a job still waits for this worker. If it was queued again since, another may get it."""
    client: Any = job.connection
    status, enqueued_at = job.get_status(refresh=False), job.enqueued_at
    taken_with = [status and status.value.encode(), enqueued_at and utcformat(enqueued_at).encode()]
    intermediate = Queue(job.origin, connection=job.connection).intermediate_queue_key
    return client.hmget(job.key, "status", "enqueued_at") == taken_with and job.id.encode() in client.lrange(
        intermediate, 0, -1
    )


def send_once(pipeline: Pipeline, on_written: Callable[[], None]) -> None:
    """Make a transaction be sent only once, and its failure be raised, whatever RQ and redis-py do.

    RQ swallows the errors of some transactions. redis-py resends a transaction whose answer was lost: its
    jobs would be queued twice.

    Args:
        pipeline: The transaction; its next `execute` raises NotWritten if it fails.
        on_written: Called when Redis has confirmed that the transaction was executed.
    """
    execute = pipeline.execute

    def once(raise_on_error: bool = True) -> list[Any]:  # noqa: ARG001  # redis-py's signature
        del pipeline.execute  # whatever RQ sends next on this pipeline is another transaction
        for command, _ in pipeline.command_stack:
            size = max(len(part) for part in command if isinstance(part, str | bytes))
            if size > _MOST_BYTES:
                raise SchedulerError(
                    f"The job's result has {size} bytes, and Redis takes {_MOST_BYTES}: "
                    "store it elsewhere and return its location"
                )
        pipeline.watching = True  # otherwise redis-py sends it again
        try:
            answers = execute(raise_on_error=False)
        except Exception as error:
            raise NotWritten from error
        on_written()
        for answer in answers:
            if isinstance(answer, Exception):  # the other commands were executed
                _log.error("a command of a transaction failed: %s", answer)
        return answers

    pipeline.execute = once  # type: ignore[method-assign]


@contextmanager
def statuses_in_transactions(job: Job) -> Iterator[None]:
    """Keep RQ from writing the status "scheduled" before the transaction that schedules the job.

    If the process died in between, the job would be in no registry.
    """

    def set_status(status: JobStatus, pipeline: Pipeline | None = None) -> None:
        if pipeline is None:
            job._status = status
        else:
            type(job).set_status(job, status, pipeline)

    job.set_status = set_status  # type: ignore[method-assign]
    try:
        yield
    finally:
        del job.set_status


@contextmanager
def dependents_enqueued(queue: Queue, connection: Redis) -> Iterator[None]:
    """Reliably enqueue those dependents of a failed job that may run although it failed.

    RQ does so after the transaction that fails the job, and swallows errors: the dependents would stay
    deferred for ever.
    """
    enqueue = queue.enqueue_dependents

    def insistent(*args: Any, **kwargs: Any) -> None:
        if "pipeline" in kwargs:  # part of a transaction that is repeated until it is written
            enqueue(*args, **kwargs)
        else:
            insist(connection, lambda _again: enqueue(*args, **kwargs))

    queue.enqueue_dependents = insistent  # type: ignore[method-assign]
    try:
        yield
    finally:
        del queue.enqueue_dependents
