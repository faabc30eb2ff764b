"""RQ's scheduler of a worker, a process beside it: started, revived, and ended with the worker."""

import os
import time
from multiprocessing import parent_process
from typing import Any

from rq.defaults import DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.scheduler import RQScheduler
from rq.worker import BaseWorker

# RQ's scheduler checks once a second whether to stop; less often while it waits for Redis.
_STOP_SECONDS = 10.0


class WorkersScheduler(RQScheduler):
    """RQ's scheduler, which leaves when its worker was killed: it would go on for ever, with its locks."""

    def heartbeat(self) -> None:
        """Keep the locks, and look whether the worker lives."""
        worker = parent_process()
        if worker is not None and worker.pid != os.getppid():
            self.request_stop()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        super().heartbeat()  # type: ignore[no-untyped-call]  # rq leaves it untyped


class Scheduling(BaseWorker):
    """Start and end RQ's scheduler, a process beside the worker, as RQ intends."""

    _burst = False

    def _start_scheduler(
        self,
        burst: bool = False,
        logging_level: str | int | None = "INFO",
        date_format: str = DEFAULT_LOGGING_DATE_FORMAT,
        log_format: str = DEFAULT_LOGGING_FORMAT,
    ) -> None:
        """As RQ does it, which gives no way to name the scheduler's class."""
        self._burst = burst
        # RQ installs them afterwards: a signal in between would end the worker and leave the scheduler
        # running.
        self._install_signal_handlers()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        scheduler: Any = WorkersScheduler(
            self.queues,
            connection=self.connection,
            logging_level=self.log.level if logging_level is None else logging_level,
            date_format=date_format,
            log_format=log_format,
            serializer=self.serializer,
        )
        self.scheduler = scheduler
        scheduler.acquire_locks()
        if not scheduler.acquired_locks:
            return
        if not burst:
            scheduler.start()
            return
        try:
            scheduler.register_birth()
            scheduler.enqueue_scheduled_jobs()
        finally:
            scheduler.release_locks()
            scheduler.register_death()

    def run_maintenance_tasks(self) -> None:
        """Clean up after other workers."""
        scheduler = self.scheduler
        if self._burst:
            # The scheduler has queued what was due and has no process. RQ would start one now.
            self.scheduler = None
        try:
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        finally:
            self.scheduler = scheduler

    def revive_scheduler(self) -> None:
        """Start the scheduler's process again if it has ended, as it does when Redis goes away."""
        # When the worker is told to stop, RQ ends the scheduler at once but the worker after its job.
        if self.scheduler is None or self._burst or self._stop_requested:
            return
        process = self.scheduler._process
        if process is None or not process.is_alive():
            self.scheduler.acquire_locks(auto_start=True)  # type: ignore[no-untyped-call]  # rq leaves it untyped

    def stop_scheduler(self) -> None:
        """End the scheduler. A signal that comes before it runs any Python is lost, so it is sent again."""
        process = self.scheduler._process if self.scheduler else None
        if process is None or not process.pid:
            return
        deadline = time.monotonic() + _STOP_SECONDS
        while process.is_alive():
            if time.monotonic() < deadline:
                process.terminate()
            else:
                process.kill()  # its locks expire after a minute
            process.join(timeout=1)
