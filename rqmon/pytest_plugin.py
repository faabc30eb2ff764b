"""A pytest plugin for code that schedules jobs: fixtures for a Redis of its own, and jobs that run at once.

A test that asks for `rq_redis`, or for another fixture of this module, gets an empty Redis, and RQ_REDIS_URL
names it. It is an embedded Valkey (install `rqmon[testing]`), one for each of pytest-xdist's processes, or
the database that RQ_TEST_REDIS_URL names, which must be empty at the start and is emptied after each such
test. A project that asks for none starts no server and imports neither RQ nor Redis, and RQ_REDIS_URL stays
as it is.

- One test: `def test_it(rq_redis): ...`, or `async_queue`, which also runs the jobs at once.
- Every test of a project: `usefixtures = rq_redis` in pytest's configuration.
- Fixtures of a class, a module or the session that schedule (`setUpClass` too): `rq_redis_for_session`.

In all other tests `Scheduler`, `job_scheduler` and the rest of this package refuse the Redis of RQ_REDIS_URL.
They raise a SchedulerError before anything is sent, in subprocesses too: pytest starts with
RQMON_FORBIDS_CONFIGURED_REDIS=1 in the environment. A connection is used as it is, and so is a URL that
differs from that of RQ_REDIS_URL, by text. A test with a server of its own in RQ_REDIS_URL unsets
RQMON_FORBIDS_CONFIGURED_REDIS.
"""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from redis import Redis

    from scheduler import Scheduler

# As in scheduler.queues, which imports RQ. What does is imported in fixtures, for those who ask for one.
_FORBIDS_CONFIGURED_REDIS = "RQMON_FORBIDS_CONFIGURED_REDIS"
_FOR_SESSION = "rq_redis_for_session"
_URL = pytest.StashKey[str]()
_ENVIRONMENT = pytest.StashKey[pytest.MonkeyPatch]()
_ON_IT = pytest.StashKey[set[str]]()


def _configure(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("RQ_REDIS_URL", url)
    environment.delenv(_FORBIDS_CONFIGURED_REDIS, raising=False)


def pytest_configure(config: pytest.Config) -> None:
    """Keep tests that ask for no fixture of this module off the configured Redis."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv(_FORBIDS_CONFIGURED_REDIS, "1")
    config.add_cleanup(monkeypatch.undo)
    config.stash[_ON_IT] = {_FOR_SESSION}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Have the tests' Redis in RQ_REDIS_URL around each test that asks for `rq_redis_for_session`."""
    with pytest.MonkeyPatch.context() as environment:
        item.config.stash[_ENVIRONMENT] = environment
        url = item.config.stash.get(_URL, None)  # None before the first: the fixture itself sets it then
        if url and _FOR_SESSION in getattr(item, "fixturenames", ()):
            _configure(environment, url)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Have it there too while a fixture that asked is torn down, which may be after a test that did not."""
    stash = request.config.stash
    if stash[_ON_IT].isdisjoint(fixturedef.argnames):
        return (yield)
    stash[_ON_IT].add(fixturedef.argname)
    environment = pytest.MonkeyPatch()
    fixturedef.addfinalizer(environment.undo)  # the last of its finalizers
    result = yield
    fixturedef.addfinalizer(lambda: _configure(environment, stash[_URL]))  # the first
    return result


@pytest.fixture(scope="session")
def _rq_redis_server(pytestconfig: pytest.Config) -> Iterator[str]:
    from scheduler.testing import empty_redis

    with empty_redis(workers=getattr(pytestconfig, "workerinput", {}).get("workercount", 1)) as url:
        yield url


@pytest.fixture(scope="session")
def rq_redis_url(_rq_redis_server: str) -> str:
    """The URL of the tests' Redis, the same for the whole session."""
    return _rq_redis_server


@pytest.fixture(scope="session")
def rq_redis_for_session(_rq_redis_server: str, pytestconfig: pytest.Config) -> str:
    """Point RQ_REDIS_URL at the tests' Redis in fixtures and tests that ask for this by name; its URL.

    For fixtures of a class, a module or the session, and the fixtures and tests that use them. What they
    schedule stays until a test begins that asks for another fixture of this module.
    """
    pytestconfig.stash[_URL] = _rq_redis_server
    _configure(pytestconfig.stash[_ENVIRONMENT], _rq_redis_server)
    return _rq_redis_server


@pytest.fixture
def rq_redis(_rq_redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Point RQ_REDIS_URL at the tests' Redis, which is empty before the test and after it; its URL."""
    from scheduler.queues import shared_connection

    _configure(monkeypatch, _rq_redis_server)
    shared_connection(_rq_redis_server).flushdb()
    yield _rq_redis_server
    shared_connection(_rq_redis_server).flushdb()


@pytest.fixture(autouse=True)
def _rq_redis_first(request: pytest.FixtureRequest) -> None:
    """Empty the tests' Redis before other fixtures of the test fill it."""
    if {"rq_redis", "rq_redis_url"}.intersection(request.fixturenames):
        request.getfixturevalue("rq_redis")


@pytest.fixture
def redis_connection(rq_redis: str) -> "Redis":
    """A client of the tests' Redis."""
    from scheduler.queues import shared_connection

    return shared_connection(rq_redis)


@pytest.fixture
def async_queue(
    request: pytest.FixtureRequest, rq_redis: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator["Scheduler"]:
    """Run what the code under test gives to `job_scheduler` at once, in this process.

    A job that fails, fails as it would in a worker: look at `async_queue.failed_count(queue_name)`. When the
    test fails, pytest shows the job's traceback. RQ's own lines are not logged, nor those for debugging of
    what a test does by hand.

    It works in any thread, and in a running event loop, where an `async def` job runs in a thread of its own.
    What is scheduled for later or on a cron stays scheduled. The fixture is a `Scheduler` itself: what a test
    enqueues with it by hand waits for `async_queue.work(queue_name)`.
    """
    from scheduler.testing import jobs_at_once

    with jobs_at_once(rq_redis, request.node, monkeypatch) as scheduler:
        yield scheduler


@pytest.fixture
def queue(rq_redis: str) -> Iterator["Scheduler"]:
    """A `Scheduler` whose `work` runs what is queued in this process; its queues are empty afterwards."""
    from scheduler.queues import shared_connection
    from scheduler.scheduler import Scheduler

    with Scheduler("burst-no-fork", connection=shared_connection(rq_redis)) as scheduler:
        yield scheduler


@pytest.fixture
def fork_queue(rq_redis: str) -> Iterator["Scheduler"]:
    """A `Scheduler` whose `work` forks for each job until it is stopped; its queues are empty afterwards."""
    from scheduler.queues import shared_connection
    from scheduler.scheduler import Scheduler

    with Scheduler("fork", connection=shared_connection(rq_redis)) as scheduler:
        yield scheduler
