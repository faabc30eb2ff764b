"""Workers: how jobs are run, and what is bound to their log lines."""

import functools
import os
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol, cast

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker, Worker, worker_registration
from rq.job import Job
from rq.timeouts import BaseDeathPenalty, TimerDeathPenalty, UnixSignalDeathPenalty
from rq.worker import BaseWorker
from rq.worker_pool import WorkerPool

from scheduler import hooks
from scheduler.config import Settings
from scheduler.connections.failover import worker_connection
from scheduler.connections.refusals import describe
from scheduler.connections.server_version import Supported
from scheduler.errors import SchedulerError
from scheduler.logs import job_context
from scheduler.workers.horses import Watching, stop_signals_held
from scheduler.workers.recording import Recording
from scheduler.workers.resilience import Enduring
from scheduler.workers.scheduling import Scheduling

_CHECK_SECONDS = 10.0


class JobLogs(BaseWorker):
    """Bind the job to every line logged while it runs, and release what it used."""

    def perform_job(self, job: Job, queue: Queue, *execution: Any) -> bool:  # rq 3 also passes the execution
        """Run a job, with its log lines bound to it."""
        hooks.release()
        try:
            with job_context(job):
                return super().perform_job(job, queue, *execution)
        finally:
            hooks.release()


class Unsubscribing(BaseWorker):
    """End even if Redis goes away at that moment, when redis-py 5 would deadlock in its subscription."""

    def subscribe(self) -> None:
        """Listen to commands, with newer redis-py's kind of lock: unsubscribing may subscribe again."""
        super().subscribe()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        pubsub: Any = self.pubsub
        pubsub._lock = threading.RLock()

    def unsubscribe(self) -> None:
        """Stop listening to commands, whatever happens to the connection."""
        try:
            super().unsubscribe()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        except RedisError:  # its thread would subscribe again
            cast(Any, self.pubsub_thread).stop()


class Registered(Scheduling):
    """Check every ten seconds whether Redis knows this worker and whether its scheduler runs.

    RQ's scheduler ends when Redis goes away. RQ only checks it every ten minutes, and scheduled jobs wait
    that long. A Redis that lost its data has also lost the worker's registration: this worker registers
    again.
    """

    _check_due = 0.0

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Write the worker's heartbeat, and restore its registration and its scheduler."""
        super().heartbeat(timeout, pipeline)
        if self.is_horse or time.monotonic() < self._check_due:
            return
        self._check_due = time.monotonic() + _CHECK_SECONDS
        try:
            if self.birth_date and not self.connection.hexists(self.key, "birth"):
                with self.connection.pipeline() as pipe:
                    pipe.hset(self.key, mapping=self.serialize())
                    worker_registration.register(self, pipe)
                    pipe.expire(self.key, timeout or self.worker_ttl + 60)
                    pipe.execute()
            self.revive_scheduler()
        except RedisError as error:
            self.log.warning("Worker %s: can't look after its registration. %s", self.name, describe(error))


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class _TimerDeathPenalty(TimerDeathPenalty):
    """RQ's class writes its message into the exception class for good; this one makes a class each time."""

    def __init__(self, timeout: float, exception: type[Exception], **kwargs: Any) -> None:
        own = type(exception.__name__, (exception,), {"__module__": exception.__module__})
        super().__init__(timeout, own, **kwargs)  # type: ignore[no-untyped-call]  # rq leaves it untyped


def death_penalty(*args: Any, **kwargs: Any) -> BaseDeathPenalty:
    """End a job or callback that takes too long: by a signal, or by a timer outside the main thread."""
    penalty = UnixSignalDeathPenalty if _in_main_thread() else _TimerDeathPenalty
    return penalty(*args, **kwargs)


class RecordingWorker(JobLogs, Watching, Recording, Unsubscribing, Registered, Supported, Worker):
    """Run each job in its own process; `rq worker --worker-class` takes this class too."""

    max_connection_wait_time = 5.0  # seconds between tries while Redis is away; rq's default is 60

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork the process that runs a job."""
        hooks.release(before_fork=True)
        super().fork_work_horse(job, queue)


class InProcessWorker(JobLogs, Enduring, Recording, Unsubscribing, Scheduling, Supported, SimpleWorker):
    """Run jobs in this process: for tests, and for jobs too short to be worth a fork.

    It works in any thread. Outside the main thread it catches no signals, and a timer ends slow jobs.
    """

    _forks = False
    death_penalty_class = staticmethod(death_penalty)  # type: ignore[assignment]  # called as RQ calls a class

    def _install_signal_handlers(self) -> None:
        if _in_main_thread():
            super()._install_signal_handlers()  # type: ignore[no-untyped-call]  # rq leaves it untyped


class _Pool(WorkerPool):
    """RQ's pool, made safe against signals while it starts its workers.

    Such a signal would end only the pool, or be lost in a worker that is not ready.
    """

    def start_workers(self, *args: Any, **kwargs: Any) -> None:
        """Start the workers; a signal that comes meanwhile ends all of them."""
        self._install_signal_handlers()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        with stop_signals_held():
            super().start_workers(*args, **kwargs)

    def start_worker(self, *args: Any, **kwargs: Any) -> None:
        """Start a worker, which unblocks signals when it is ready."""
        with stop_signals_held():
            super().start_worker(*args, **kwargs)


class Strategy(Protocol):
    """A way to run the jobs of some queues."""

    def __call__(
        self,
        queues: Sequence[str],
        *,
        connection: Redis,
        with_scheduler: bool,
        settings: Settings | None = None,
    ) -> bool:
        """Run jobs, in the order of the queues; return whether any was run."""


_forking_worker = functools.partial(RecordingWorker, log_job_description=False)


def fork(
    queues: Sequence[str], *, connection: Redis, with_scheduler: bool, settings: Settings | None = None
) -> bool:
    """Wait for jobs and run each in a forked process, until told to stop by SIGTERM or SIGINT."""
    with worker_connection(connection) as own:
        worker = _forking_worker(queues, connection=own, settings=settings)
        return worker.work(with_scheduler=with_scheduler)


def pool(
    queues: Sequence[str],
    *,
    connection: Redis,
    with_scheduler: bool,  # noqa: ARG001  # RQ's pool always has a scheduler
    settings: Settings | None = None,
) -> bool:
    """Do what `fork` does with one worker per processor, and replace workers that die.

    RQ's pool does not tell what its workers did, so this returns True. Its workers always queue scheduled
    jobs when their time comes.
    """

    def worker(*args: Any, name: str, **kwargs: Any) -> RecordingWorker:  # noqa: ARG001  # a random one
        return _forking_worker(*args, settings=settings, **kwargs)

    with worker_connection(connection) as own:
        _Pool(
            queues,
            connection=own,
            num_workers=len(os.sched_getaffinity(0)),
            worker_class=worker,  # type: ignore[arg-type]  # called with only a worker's arguments
        ).start()
    return True


def burst_no_fork(
    queues: Sequence[str],
    *,
    connection: Redis,
    with_scheduler: bool,
    settings: Settings | None = None,
    worker_class: type[InProcessWorker] = InProcessWorker,
) -> bool:
    """Run the queued jobs in this process, then return."""
    with worker_connection(connection) as own:
        worker = worker_class(queues, connection=own, log_job_description=False, settings=settings)
        return worker.work(burst=True, with_scheduler=with_scheduler)


_STRATEGIES: dict[str, Strategy] = {"fork": fork, "pool": pool, "burst-no-fork": burst_no_fork}


def strategy(name: str) -> Strategy:
    """Return the strategy of that name.

    Raises:
        SchedulerError: There is none; the message lists the strategies.
    """
    if name not in _STRATEGIES:
        raise SchedulerError(f"Unknown strategy {name!r}: use one of {', '.join(_STRATEGIES)}")
    return _STRATEGIES[name]
