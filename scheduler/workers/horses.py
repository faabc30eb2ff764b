"""Watches over the process that runs a job (the work horse), even while Redis is away."""

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Any

from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.job import Job
from rq.utils import now

from scheduler.connections.refusals import describe
from scheduler.workers.resilience import Enduring

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A job's status after others have given it up because this worker could not send heartbeats.
_GIVEN_UP = (b"queued", b"scheduled", b"failed")
_GRACE_SECONDS = 30.0


class Watching(Enduring, Worker):
    """Watch over the process that runs a job, even while Redis is away.

    Without Redis the horse goes on until its job ends. If others have given the job up when Redis is back,
    the horse is ended, so that the job does not run twice at once.
    """

    _heard_at = 0.0
    _given_up: str | None = None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job; its process ends with this one, unless this one is ended by SIGKILL."""
        try:
            super().execute_job(job, queue)
        except BaseException:
            if self.horse_pid:
                self.kill_horse()
                self.wait_for_horse()
            raise

    def monitor_work_horse(self, job: Job, *args: Any) -> None:
        """Wait until the horse ends, then ask Redis, until it answers, how the job ended."""
        ask = job.get_status
        patient: Any = job
        patient.get_status = lambda refresh=True: self._patiently(lambda: ask(refresh), also_away=True)
        super().monitor_work_horse(job, *args)

    def maintain_heartbeats(self, job: Job, *execution: Any) -> None:  # rq 3 also passes the execution
        """Write a heartbeat for the job, unless others have given it up."""
        try:
            # Others give it up a minute after the next heartbeat was due.
            if time.monotonic() - self._heard_at > self.job_monitoring_interval + _GRACE_SECONDS:
                self._end_if_given_up(job)
            super().maintain_heartbeats(job, *execution)
            self._heard_at = time.monotonic()
        except RedisError as error:
            # RQ kills a horse 60 s after its job's timeout, counted from here. The horse may only be waiting
            # to write how its job ended.
            job.started_at = now()
            self.log.warning("Worker %s: its job goes on. %s", self.name, describe(error))

    def set_current_job_working_time(self, *args: Any, **kwargs: Any) -> None:
        """Write how long the job has run; only rq 2 does this."""
        try:
            super().set_current_job_working_time(*args, **kwargs)
        except RedisError as error:
            self.log.warning("Worker %s: its job goes on. %s", self.name, describe(error))

    def handle_work_horse_killed(self, job: Job, *args: Any) -> None:
        """Deal with a horse that died, unless its job is no longer this worker's."""
        if self._given_up != job.id:
            self._await_writes()
            super().handle_work_horse_killed(job, *args)  # type: ignore[no-untyped-call]  # rq leaves it untyped

    def handle_job_failure(self, job: Job, *args: Any, **kwargs: Any) -> None:
        """End an execution, unless its job is no longer this worker's."""
        if self._given_up == job.id:
            return
        if not self.is_horse:
            self._await_writes()
        super().handle_job_failure(job, *args, **kwargs)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork the process that runs a job."""
        self._given_up, self._heard_at = None, time.monotonic()
        # A signal in between would leave a horse that this process does not know of, or a horse that handles
        # it as the worker does.
        with stop_signals_held():
            super().fork_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """Handle signals as a horse does."""
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)

    def _await_writes(self) -> None:
        # RQ tries only once to write what became of a job, so Redis must be ready for it.
        self.set_state(self.get_state())

    def _end_if_given_up(self, job: Job) -> None:
        client: Any = self.connection
        status, worker_name = client.hmget(job.key, "status", "worker_name")
        elsewhere = status == b"started" and worker_name != self.name.encode()
        if elsewhere or status in _GIVEN_UP:
            time.sleep(1)  # the horse itself may just have written the status
            self.log.warning("Worker %s: job %s was given up meanwhile, and ends here", self.name, job.id)
            self._given_up = job.id
            self.kill_horse()


@contextlib.contextmanager
def stop_signals_held() -> Iterator[None]:
    """Block SIGINT and SIGTERM, also in a process that is forked meanwhile, until it is ready."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
