import pytest

pytest_plugins = ["pytester"]


def test_a_project_that_never_asks_starts_no_server(run_tests):
    result = run_tests(
        """
import os, sys
import psutil

def test_it():
    assert os.environ["RQ_REDIS_URL"] == "redis://production:6379/0"
    assert {"rq", "redis", "scheduler"}.isdisjoint(sys.modules)
    assert psutil.Process().children(recursive=True) == []
""",
        code="",
        RQ_REDIS_URL="redis://production:6379/0",
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "body",
    [
        'code_under_test("x")',
        'DataHubScheduler().enqueue("q", fail)',
        'DataHubScheduler(settings=Settings.from_env()).enqueue("q", fail)',
        "MADE_AT_IMPORT.purge(SHORT_RUNNING_QUEUE)",
        "call()",
        "CronProcess(lambda: None)",
        "CronProcess(lambda: None, settings=Settings.from_env())",
        "worker()",
    ],
)
def test_without_a_fixture_the_configured_redis_is_out_of_reach(
    run_tests, rq_redis_url, redis_connection, body
):
    connections = redis_connection.info("stats")["total_connections_received"]
    result = run_tests(
        f"""
import subprocess, sys
import pytest
from scheduler import CronProcess, DataHubScheduler, RateLimit, SchedulerError, Settings

MADE_AT_IMPORT = DataHubScheduler()

@RateLimit("api", "me", max_requests=2)
def call():
    pass

def worker():
    code = "from scheduler import Scheduler; Scheduler('burst-no-fork').work('q')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    raise SchedulerError(done.stderr)

def test_it():
    with pytest.raises(SchedulerError, match="the Redis of RQ_REDIS_URL: ask for the fixture rq_redis"):
        {body}
""",
        RQ_REDIS_URL=rq_redis_url,
    )
    result.assert_outcomes(passed=1)
    assert redis_connection.info("stats")["total_connections_received"] == connections


def test_what_is_given_by_hand_is_used(run_tests):
    result = run_tests(
        """
import pytest
from redis import Redis
from scheduler import Scheduler, SchedulerError
from scheduler.queues import shared_connection

def test_it(rq_redis_url):
    code_under_test("x")

@pytest.fixture(scope="module")
def connection(rq_redis_url):
    return Redis.from_url(rq_redis_url)

def test_a_connection(connection):
    assert Scheduler(connection=connection).enqueue("q", fail).is_queued

def test_a_url(connection, rq_redis_url):
    assert connection.dbsize() == 0
    assert shared_connection(rq_redis_url).ping()

def test_neither():
    with pytest.raises(SchedulerError):
        code_under_test("x")
"""
    )
    result.assert_outcomes(passed=4)


def test_each_test_that_asks_starts_with_nothing(run_tests):
    result = run_tests(
        """
import os, subprocess, sys
import pytest

@pytest.fixture
def scheduled():
    return code_under_test("before")

@pytest.mark.parametrize("again", [False, True])
def test_fixtures_may_schedule_first(scheduled, queue, again):
    assert queue.queued_count(SHORT_RUNNING_QUEUE) == 1

def test_a_process_of_its_own(rq_redis, queue):
    code = "from scheduler import job_scheduler; from tests.jobs import pid; job_scheduler(pid)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert queue.queued_count(SHORT_RUNNING_QUEUE) == 1
    assert os.environ["RQ_REDIS_URL"] == rq_redis

def test_it_is_over_after_the_test():
    assert "RQ_REDIS_URL" not in os.environ
"""
    )
    result.assert_outcomes(passed=4)


def test_a_projects_configuration_asks_for_all_its_tests(run_tests, pytester):
    pytester.makeini("[pytest]\nusefixtures = rq_redis")
    run_tests("def test_it(): assert code_under_test('x').is_queued").assert_outcomes(passed=1)


SESSION = """
import os
import unittest

import pytest
from scheduler import DataHubScheduler, RateLimit, SchedulerError

def queued():
    return DataHubScheduler().queued_count(SHORT_RUNNING_QUEUE)

@pytest.fixture(scope="session")
def of_the_session(rq_redis_for_session):
    code_under_test("session")
    yield
    assert queued() == 1  # not wiped, and in reach, whatever test was the last

@pytest.fixture(scope="session")
def of_the_first(of_the_session):
    yield
    assert queued() == 1

def refused():
    assert os.environ["RQ_REDIS_URL"] == "redis://production:6379/0"
    with pytest.raises(SchedulerError, match="ask for the fixture rq_redis"):
        code_under_test("x")
"""


def test_who_does_not_ask_is_off_it_in_any_order(run_tests):
    result = run_tests(
        f"""{SESSION}
def test_before():
    refused()

def test_it(of_the_first):
    assert queued() == 1

def test_between():
    refused()

def test_again(of_the_session):
    assert queued() == 1

def test_after():
    refused()
""",
        RQ_REDIS_URL="redis://production:6379/0",
    )
    result.assert_outcomes(passed=5)


def test_a_class_may_ask_for_the_session(run_tests):
    result = run_tests(
        f"""{SESSION}
@pytest.mark.usefixtures("rq_redis_for_session")
class TestOfAClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        code_under_test("class")

    @classmethod
    def tearDownClass(cls):
        assert queued() == 1

    def test_it(self):
        assert queued() == 1

    def test_it_again(self):
        assert queued() == 1

def test_after():
    refused()
""",
        RQ_REDIS_URL="redis://production:6379/0",
    )
    result.assert_outcomes(passed=3)


def test_a_test_that_asks_for_an_empty_redis_gets_one(run_tests, rq_redis_url, redis_connection):
    result = run_tests(
        """
import pytest
from scheduler import RateLimit

@RateLimit("api", "me", max_requests=2)
def call():
    pass

@pytest.fixture(scope="session")
def of_the_session(rq_redis_for_session):
    code_under_test("session")

def test_it(of_the_session, queue):
    assert queue.queued_count(SHORT_RUNNING_QUEUE) == 0
    call()
""",
        RQ_REDIS_URL=rq_redis_url,
    )
    result.assert_outcomes(passed=1)
    assert redis_connection.dbsize() == 0
