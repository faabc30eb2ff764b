"""Workers: how the jobs of some queues are run, and what is bound to their logs."""

import functools
import os
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

from redis import Redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker, Worker, worker_registration
from rq.job import Job
from rq.worker import BaseWorker
from rq.worker_pool import WorkerPool

from scheduler.errors import SchedulerError
from scheduler.logs import job_context
from scheduler.queues import worker_connection
from scheduler.recording import Recording
from scheduler.serializers import Json, configured
from scheduler.server_version import Supported

# An idle worker's heartbeat; a busy one's comes every 30 s.
_HEARTBEAT_SECONDS = 15
# RQ sends it that much before `worker_ttl` has passed.
_RQ_MARGIN_SECONDS = 15
_CHECK_SECONDS = 10.0
# How often a worker looks for jobs whose worker died; rq's own is ten minutes.
_MAINTENANCE_SECONDS = 60
# A worker whose heartbeat is older is not live.
LIVE_SECONDS = 60.0


class JobLogs(BaseWorker):
    """Bind the job to every line logged while it runs, and keep its arguments out of RQ's lines."""

    def perform_job(self, job: Job, queue: Queue, *execution: Any) -> bool:  # rq 3 also gives the execution
        """Run a job, with its lines bound to it."""
        with job_context(job):
            return super().perform_job(job, queue, *execution)


class Configured(BaseWorker):
    """Under `RQ_SERIALIZER=json` unpickle nothing, whatever RQ's command line or the caller's queues say."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if configured() is Json:
            self.serializer = Json
            for queue in self.queues:
                queue.serializer = Json  # its registries read jobs too


class Unsubscribing(BaseWorker):
    """End also when Redis goes away at that moment, where redis-py 5 locks itself out of its subscription."""

    def subscribe(self) -> None:
        """Listen to commands, with the lock that newer redis-py has: to unsubscribe may subscribe again."""
        super().subscribe()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        pubsub: Any = self.pubsub
        pubsub._lock = threading.RLock()


class RecordingWorker(JobLogs, Recording, Configured, Unsubscribing, Supported, Worker):
    """Run each job in a process of its own; `rq worker --worker-class` takes this class too.

    Its scheduler is a child process that ends when Redis goes away. RQ looks for it every ten minutes, and
    scheduled jobs wait that long; this worker looks with its heartbeat. A Redis that lost its data has lost
    the worker's registration too: this worker registers again.
    """

    max_connection_wait_time = 5.0  # seconds between tries while Redis is away; rq's own is 60
    _check_due = 0.0

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that this worker lives, and mend its registration and its scheduler."""
        super().heartbeat(timeout, pipeline)
        if self.is_horse or time.monotonic() < self._check_due:
            return
        self._check_due = time.monotonic() + _CHECK_SECONDS
        if self.birth_date and not self.connection.hexists(self.key, "birth"):
            with self.connection.pipeline() as pipe:
                pipe.hset(self.key, mapping=self.serialize())
                worker_registration.register(self, pipe)
                pipe.expire(self.key, timeout or self.worker_ttl + 60)
                pipe.execute()
        # RQ ends the scheduler at once when it is told to stop, and the worker after its job.
        if self.scheduler is None or self._stop_requested:
            return
        process = self.scheduler._process
        if process is None or not process.is_alive():
            self.scheduler.acquire_locks(auto_start=True)  # type: ignore[no-untyped-call]  # rq leaves it untyped


class InProcessWorker(JobLogs, Recording, Configured, Unsubscribing, Supported, SimpleWorker):
    """Run jobs in this process: for tests, and for jobs too short to be worth a fork."""

    _forks = False


class Strategy(Protocol):
    """A way to run the jobs of some queues."""

    def __call__(self, queues: Sequence[str], *, connection: Redis, with_scheduler: bool) -> bool:
        """Run jobs, in the order of the queues; whether any job was run."""


_forking_worker = functools.partial(
    RecordingWorker,
    log_job_description=False,
    worker_ttl=_HEARTBEAT_SECONDS + _RQ_MARGIN_SECONDS,
    maintenance_interval=_MAINTENANCE_SECONDS,
)


def fork(queues: Sequence[str], *, connection: Redis, with_scheduler: bool) -> bool:
    """Wait for jobs and run each in a forked process, until told to stop by SIGTERM or SIGINT."""
    with worker_connection(connection) as own:
        return _forking_worker(queues, connection=own).work(with_scheduler=with_scheduler)


def pool(
    queues: Sequence[str],
    *,
    connection: Redis,
    with_scheduler: bool,  # noqa: ARG001  # RQ's pool always has it
) -> bool:
    """Do what `fork` does in one worker for each processor, and replace those that die.

    RQ's pool does not tell what its workers did: this says that jobs were run. Its workers always queue
    scheduled jobs when their time comes.
    """
    with worker_connection(connection) as own:
        WorkerPool(
            queues,
            connection=own,
            num_workers=len(os.sched_getaffinity(0)),
            worker_class=_forking_worker,  # type: ignore[arg-type]  # called with a worker's arguments, no more
        ).start()
    return True


def burst_no_fork(queues: Sequence[str], *, connection: Redis, with_scheduler: bool) -> bool:
    """Run what is queued in this process, then return."""
    with worker_connection(connection) as own:
        worker = InProcessWorker(queues, connection=own, log_job_description=False)
        return worker.work(burst=True, with_scheduler=with_scheduler)


_STRATEGIES: dict[str, Strategy] = {"fork": fork, "pool": pool, "burst-no-fork": burst_no_fork}


def strategy(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        SchedulerError: There is none; the message names those there are.
    """
    if name not in _STRATEGIES:
        raise SchedulerError(f"Unknown strategy {name!r}: use one of {', '.join(_STRATEGIES)}")
    return _STRATEGIES[name]
