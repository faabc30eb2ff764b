import pytest

pytest_plugins = ["pytester"]

CODE = """
from scheduler import SHORT_RUNNING_QUEUE, job_scheduler
from tests.jobs import Recorder, code_under_test, fail, schedule_another
"""


def run(pytester, body, *options, **env):
    pytester.makepyfile(CODE + body)
    pytester.makeconftest("")
    for name, value in env.items():
        pytester._monkeypatch.setenv(name, value)
    return pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", *options)


@pytest.fixture(autouse=True)
def _own_process(pytester, monkeypatch, pytestconfig):
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))
    monkeypatch.delenv("RQ_TEST_REDIS_URL", raising=False)
    monkeypatch.delenv("RQ_REDIS_URL", raising=False)


@pytest.mark.usefixtures("either_serializer")
def test_jobs_stay_queued_without_a_fixture_and_run_with_async_queue(pytester):
    result = run(
        pytester,
        """
def test_stays_queued(queue):
    job = code_under_test("queued")
    assert Recorder.calls == []
    assert queue.queued_count(SHORT_RUNNING_QUEUE) == 1

def test_without_any_fixture():
    assert code_under_test("queued").is_queued
    assert Recorder.calls == []

def test_runs_at_once(async_queue):
    job = code_under_test("ran")
    assert Recorder.calls == [(("ran",), {})]
    assert job.is_finished

def test_a_job_that_schedules_another(async_queue):
    Recorder.calls.clear()
    job_scheduler(schedule_another)
    assert Recorder.calls == [(("inner",), {})]

def test_a_failing_job_fails_as_in_a_worker(async_queue):
    job_scheduler(fail, max_retries=1)
    assert async_queue.failed_count(SHORT_RUNNING_QUEUE) == 1

def test_nothing_is_left_of_the_tests_before(async_queue):
    assert async_queue.failed_count(SHORT_RUNNING_QUEUE) == 0
    assert async_queue.queued_count(SHORT_RUNNING_QUEUE) == 0

def test_by_hand(async_queue):
    Recorder.calls.clear()
    async_queue.enqueue("q", Recorder.record, 1)
    assert Recorder.calls == []
    async_queue.work("q")
    assert Recorder.calls == [((1,), {})]

def test_by_hand_beside_what_runs_at_once(async_queue):
    Recorder.calls.clear()
    async_queue.enqueue(SHORT_RUNNING_QUEUE, Recorder.record, 1)
    code_under_test("ran")
    assert Recorder.calls == [(("ran",), {})]
    assert async_queue.queued_count(SHORT_RUNNING_QUEUE) == 1
""",
    )
    result.assert_outcomes(passed=8)


def test_any_redis_url_will_do(pytester, rq_redis_url):
    other_database = rq_redis_url.removesuffix("/0") + "/9"
    result = run(
        pytester,
        """
def test_url(async_queue, redis_connection):
    code_under_test("x")
    assert redis_connection.connection_pool.connection_kwargs["db"] == 9
    assert redis_connection.dbsize() > 0
""",
        RQ_TEST_REDIS_URL=other_database,
    )
    result.assert_outcomes(passed=1)


def test_a_database_with_something_in_it_is_not_emptied(pytester, rq_redis_url, redis_connection):
    redis_connection.set("precious", 1)
    result = run(pytester, "def test_it(async_queue): pass", RQ_TEST_REDIS_URL=rq_redis_url)
    result.stdout.fnmatch_lines(["*names a database with 1 keys, and tests empty it*"])
    assert redis_connection.get("precious") == b"1"


def test_a_production_url_in_the_environment_is_left_alone(pytester, rq_redis_url, redis_connection):
    result = run(pytester, "def test_it(): code_under_test('x')", RQ_REDIS_URL=rq_redis_url)
    result.assert_outcomes(passed=1)
    assert redis_connection.dbsize() == 0


def test_nor_do_fixtures_of_a_class_or_of_all_tests_touch_it(pytester, rq_redis_url, redis_connection):
    pytester.makepyfile(
        app="""
from scheduler import RateLimit

@RateLimit("api", "me", max_requests=2)
def call():
    pass
"""
    )
    result = run(
        pytester,
        """
import unittest

import pytest
from app import call
from scheduler import DataHubScheduler

@pytest.fixture(scope="session")
def of_the_session():
    code_under_test("session")

class TestOfAClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        code_under_test("class")

    def test_it(self):
        assert DataHubScheduler().queued_count(SHORT_RUNNING_QUEUE) == 0

def test_it(of_the_session, queue):
    assert queue.queued_count(SHORT_RUNNING_QUEUE) == 0
    call()
""",
        RQ_REDIS_URL=rq_redis_url,
    )
    result.assert_outcomes(passed=2)
    assert redis_connection.dbsize() == 0


IN_TWO_PROCESSES = """
import pytest

@pytest.mark.parametrize("number", range(20))
def test_it(redis_connection, number):
    assert redis_connection.dbsize() == 0
    code_under_test("x")
    assert redis_connection.incr("alone") == 1
"""


def test_each_process_of_xdist_has_a_redis_of_its_own(pytester):
    run(pytester, IN_TWO_PROCESSES, "-n", "2").assert_outcomes(passed=20)


def test_processes_of_xdist_may_not_share_a_redis(pytester, rq_redis_url):
    result = run(pytester, IN_TWO_PROCESSES, "-n", "2", RQ_TEST_REDIS_URL=rq_redis_url)
    result.assert_outcomes(errors=20)
    result.stdout.fnmatch_lines(["*RQ_TEST_REDIS_URL names one database*run with -n 0*"])


def test_jobs_run_in_any_thread(pytester):
    result = run(
        pytester,
        """
import asyncio, signal, threading
from concurrent.futures import ThreadPoolExecutor

from rq.timeouts import JobTimeoutException
from scheduler import Scheduler
from tests.jobs import echo_in_a_wrapper, echo_later, sleep_in_steps, thread_name

def in_thread(function, *args, **kwargs):
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *args, **kwargs).result()

def test_in_a_thread(async_queue):
    assert in_thread(code_under_test, "thread").is_finished
    assert Recorder.calls == [(("thread",), {})]

def test_in_to_thread(async_queue):
    async def main():
        return await asyncio.to_thread(code_under_test, "to_thread")
    assert asyncio.run(main()).is_finished

def test_each_thread_runs_its_own(async_queue):
    def schedule(_number):
        return job_scheduler(thread_name).return_value() == threading.current_thread().name
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(schedule, range(40))) == [True] * 40

def test_by_hand_in_a_thread(async_queue):
    async_queue.enqueue("q", Recorder.record, 1)
    assert in_thread(async_queue.work, "q")
    assert async_queue.queued_count("q") == 0

def test_a_burst_worker_of_ones_own(rq_redis_url):
    with Scheduler("burst-no-fork") as scheduler:
        job = scheduler.enqueue("q", Recorder.record, 1)
        assert in_thread(scheduler.work, "q")
        assert scheduler.job(job.id).is_finished

def test_a_job_that_takes_too_long_is_ended_there_too(async_queue):
    job = in_thread(job_scheduler, sleep_in_steps, (20,), max_retries=None, job_timeout=1)
    assert job.is_failed
    assert "Task exceeded maximum timeout value (1 seconds)" in job.latest_result().exc_string
    assert str(JobTimeoutException("mine")) == "mine"  # RQ's own timer changes the class

def test_an_async_def_job(async_queue):
    assert job_scheduler(echo_later, (1,)).return_value() == 1

def test_an_async_def_job_where_a_loop_runs(async_queue):
    for function in (echo_later, echo_in_a_wrapper):
        async def main():
            return job_scheduler(function, (2,))
        assert asyncio.run(main()).return_value() == 2
        assert in_thread(asyncio.run, main()).return_value() == 2

def test_pytest_keeps_its_ctrl_c(async_queue):
    before = signal.getsignal(signal.SIGINT)
    code_under_test("x")
    assert signal.getsignal(signal.SIGINT) is before
""",
    )
    result.assert_outcomes(passed=9)


def test_what_rq_says_of_jobs_that_run_at_once_is_not_logged(pytester):
    result = run(
        pytester,
        """
import logging
from tests.jobs import log_line

def test_only_the_jobs_own_lines(async_queue, caplog):
    job_scheduler(log_line, ("secret",))
    job_scheduler(fail, max_retries=None)
    assert caplog.messages == ["inside_the_job"]
    assert async_queue.failed_count(SHORT_RUNNING_QUEUE) == 1

def test_nor_at_debug(async_queue, caplog):
    caplog.set_level(logging.DEBUG)
    job_scheduler(fail, max_retries=1)
    assert [record.name for record in caplog.records if record.name.startswith("rq.")] == []
""",
    )
    result.assert_outcomes(passed=2)


def test_a_failing_test_shows_the_tracebacks_of_its_jobs(pytester):
    result = run(
        pytester,
        """
def test_it(async_queue):
    job_scheduler(fail, max_retries=None)
    assert False
""",
    )
    result.stdout.fnmatch_lines(["*failed job*", "*ValueError: spanner in the works*"])


def test_the_origins_tests_can_do_what_they_did(pytester):
    """Every test runs its jobs at once; one that doesn't want that replaces the scheduler."""
    pytester.makepyfile(
        test_origin=CODE
        + """
import importlib
from unittest.mock import Mock, patch

import pytest
from rq import Queue

from scheduler import DataHubScheduler
from scheduler.queues import shared_connection

WAITS = DataHubScheduler(is_async=True)  # made before there is a Redis

def test_at_once():
    job = code_under_test("ran")
    assert Recorder.calls == [(("ran",), {})]
    assert job._func_name == "tests.jobs.Recorder.record"

@patch("scheduler.job_scheduler.DataHubScheduler", return_value=WAITS)
def test_queued(_mock, redis_connection):
    for number in (1, 2):
        code_under_test("waits")
        assert Queue(SHORT_RUNNING_QUEUE, connection=redis_connection).count == number
    assert Recorder.calls == []

@patch("scheduler.job_scheduler.DataHubScheduler", return_value=WAITS)
def test_queued_again(_mock, redis_connection):
    code_under_test("waits")
    assert Queue(SHORT_RUNNING_QUEUE, connection=redis_connection).count == 1

def test_at_once_after_it():
    assert code_under_test("ran").is_finished

def test_it_is_called_as_the_origin_calls_it(monkeypatch):
    enqueue = Mock()
    monkeypatch.setattr("scheduler.scheduler.DataHubScheduler.enqueue", enqueue)
    job_scheduler(
        function=Recorder.record, function_args=("a",), function_kwargs={"test": True}, queue_name="234"
    )
    retry = enqueue.call_args.kwargs["retry"]
    assert (retry.max, retry.intervals) == (3, [0])
    enqueue.assert_called_with(
        queue_name="234",
        function=Recorder.record,
        args=("a",),
        kwargs={"test": True},
        retry=retry,
        job_timeout=180,
    )
"""
    )
    pytester.makeconftest(
        """
import pytest

@pytest.fixture(autouse=True)
def _jobs_run_at_once(async_queue):
    from tests.jobs import Recorder
    Recorder.calls.clear()
"""
    )
    # A scheduler that is made during an import must not use this Redis.
    pytester._monkeypatch.setenv("RQ_REDIS_URL", "redis://127.0.0.1:1/0")
    pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider").assert_outcomes(passed=5)
