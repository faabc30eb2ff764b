"""A worker that outlives failures of Redis, ends when told to, and says why it ended."""

import contextlib
import functools
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from redis import exceptions
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import StopRequested
from rq.job import Job
from rq.utils import now
from rq.worker import BaseWorker, WorkerStatus

from scheduler.connections.failover import drop_idle
from scheduler.connections.refusals import describe, refusal
from scheduler.workers.dequeue import Taking, keeping
from scheduler.workers.persistence import GivenUpError
from scheduler.workers.stored_jobs import bounded

T = TypeVar("T")

# Most failovers take less. A worker that ends is restarted, and then reads its settings anew.
_REFUSED_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_STOP_AGAIN_SECONDS = 1.0
# For a worker that is told to stop while a job begins or ends: supervisors kill it after 30 s.
_STOPPING_SECONDS = 5.0


class Enduring(BaseWorker):
    """Wait while Redis is away or refuses; if it keeps refusing, end with the error.

    RQ's `work` returns as if all was well, whatever error ends it.
    """

    _error: BaseException | None = None
    _taking: Taking | None = None
    _executes = False

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Begin to work."""
        super().bootstrap(*args, **kwargs)
        if self._taking is not None:  # this worker object has already worked
            return
        self._taking = Taking()
        # Not earlier: a worker that is only inspected keeps the classes it was given.
        self.queue_class = keeping(self.queue_class, self._taking)
        self.job_class = bounded(self.job_class)
        for queue in self.queues:
            queue.job_class = self.job_class  # for its registries and its intermediate list

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Run jobs until told to stop or, in burst mode, until there are none.

        Raises:
            redis.RedisError: Redis refused for half a minute, or a job's end could not be written.
            Exception: Any other error after which RQ can't go on.
        """
        self._error = None
        try:
            worked = super().work(*args, **kwargs)
        except StopRequested:  # earlier than RQ expects it
            self.teardown()
            return False
        if self._error is not None:
            raise self._error
        return worked

    def check_for_suspension(self, burst: bool) -> None:
        """Wait while workers are suspended."""
        with self._noting():
            self._patiently(lambda: super(Enduring, self).check_for_suspension(burst), also_away=True)

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a job."""
        taking = cast(Taking, self._taking)  # `bootstrap` has made it

        def ask() -> tuple[Job, Queue] | None:
            try:
                return super(Enduring, self).dequeue_job_and_maintain_ttl(timeout, max_idle_time)
            except RedisError:
                taking.end()
                taking.check()
                raise

        with self._noting():
            try:
                return self._patiently(ask, also_away=True)
            except StopRequested:
                # On a Sentinel connection, the wait that was cut short may still be answered.
                drop_idle(self.connection)
                raise

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job."""
        with self._noting():
            self._executes = True
            try:
                super().execute_job(job, queue)
            finally:
                self._executes = False
                cast(Taking, self._taking).end()

    def set_state(self, state: str, pipeline: Pipeline | None = None) -> None:
        """Write the worker's state; patiently while a job begins or ends: a failover would end the worker."""
        tell = functools.partial(super().set_state, state, pipeline)
        if not self._executes or pipeline is not None:
            tell()
            return
        try:
            self._patiently(tell, also_away=True)
        except RedisError as error:
            if not self._stop_requested:
                raise
            self.log.warning("Worker %s: it stops without telling its state. %s", self.name, describe(error))

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:  # noqa: ARG002
        """Prepare the job in the process that runs it, and remove it from the intermediate list."""
        super().prepare_job_execution(job, True)

    def run_maintenance_tasks(self) -> None:
        """Clean up after other workers. A failure does not end this worker."""
        try:
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        except StopRequested:
            raise
        except Exception:
            self.log.exception("Worker %s: maintenance failed, and is tried again later", self.name)
            self.last_cleaned_at: Any = now()

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Write a heartbeat. If Redis is away, the next command will notice."""
        try:
            super().heartbeat(timeout, pipeline)
        except RedisError as error:
            self.log.warning("Worker %s: no heartbeat. %s", self.name, describe(error))

    def set_shutdown_requested_date(self) -> None:
        """Write that the worker will stop after its job. The job goes on even if that can't be written."""
        try:
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        except RedisError as error:
            self.log.warning("Worker %s: it stops after its job. %s", self.name, describe(error))

    def _shutdown(self) -> None:
        """Stop after the current job, or the one about to begin; without a job, at once.

        RQ raises an error for this, at whatever line Python is. Python drops errors in a `__del__`, and so do
        log handlers. So the error is raised again each second until this worker leaves.
        """
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY and self._taking is not None and self._taking.stop():
            return
        try:
            super()._shutdown()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        except StopRequested:
            signal.signal(signal.SIGALRM, self._stop_again)
            signal.setitimer(signal.ITIMER_REAL, _STOP_AGAIN_SECONDS, _STOP_AGAIN_SECONDS)
            raise

    def _stop_again(self, *_: Any) -> None:
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def teardown(self) -> None:
        """Unregister; without Redis, the registration expires by itself."""
        if self._stop_requested:
            signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            super().teardown()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        except RedisError as error:
            self.log.warning("Worker %s: can't sign off. %s", self.name, describe(error))
            self.unsubscribe()  # type: ignore[no-untyped-call]  # rq leaves it untyped

    def _patiently(self, ask: Callable[[], T], *, also_away: bool) -> T:
        """Repeat for half a minute while Redis refuses and, if `also_away`, for as long as it is away.

        While a job begins or ends, a worker that was told to stop tries for five seconds.
        """
        refused_since: float | None = None
        began = time.monotonic()
        while True:
            try:
                return ask()
            except RedisError as error:
                if refusal(error) is not None:
                    refused_since = refused_since or time.monotonic()
                    if time.monotonic() - refused_since >= _REFUSED_SECONDS:
                        raise
                elif not also_away or not isinstance(
                    error, exceptions.ConnectionError | exceptions.TimeoutError
                ):
                    raise
                stops = self._executes and self._stop_requested
                if stops and time.monotonic() - began >= _STOPPING_SECONDS:
                    raise
                self.log.warning("Worker %s: %s. It tries again", self.name, describe(error))
            time.sleep(_RETRY_SECONDS)
            drop_idle(self.connection)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except (StopRequested, GivenUpError):
            raise
        except Exception as error:
            self._error = error
            raise
