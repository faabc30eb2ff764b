import pytest

pytest_plugins = ["pytester"]


@pytest.mark.usefixtures("either_serializer")
def test_jobs_stay_queued_but_with_async_queue(run_tests):
    result = run_tests(
        """
def test_stays_queued(queue):
    job = code_under_test("queued")
    assert Recorder.calls == []
    assert queue.queued_count(SHORT_RUNNING_QUEUE) == 1

def test_stays_queued_with_no_more_than_a_redis(rq_redis):
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


def test_jobs_run_in_any_thread(run_tests):
    result = run_tests(
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


def test_what_rq_says_of_jobs_that_run_at_once_is_not_logged(run_tests):
    result = run_tests(
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


def test_a_failing_test_shows_the_tracebacks_of_its_jobs(run_tests):
    result = run_tests(
        """
def test_it(async_queue):
    job_scheduler(fail, max_retries=None)
    assert False
""",
    )
    result.stdout.fnmatch_lines(["*failed job*", "*ValueError: spanner in the works*"])


def test_a_queue_that_forks(run_tests):
    result = run_tests(
        """
import os, signal, threading
from tests.jobs import pid
from tests.servers import wait_for

def test_it(fork_queue):
    job = fork_queue.enqueue("q", pid)

    def stop_when_done():
        wait_for(lambda: fork_queue.job(job.id).is_finished)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop_when_done).start()
    fork_queue.work("q")
    assert fork_queue.job(job.id).return_value() not in (None, os.getpid())
""",
    )
    result.assert_outcomes(passed=1)
