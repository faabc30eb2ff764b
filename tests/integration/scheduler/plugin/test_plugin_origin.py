pytest_plugins = ["pytester"]


def test_the_origins_tests_can_do_what_they_did(run_tests, pytester):
    """Every test runs its jobs at once, and one that doesn't want it puts another scheduler in the place."""
    pytester.makeconftest(
        """
import pytest

@pytest.fixture(autouse=True)
def _jobs_run_at_once(async_queue):
    from tests.jobs import Recorder
    Recorder.calls.clear()
"""
    )
    result = run_tests(
        """
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
""",
        RQ_REDIS_URL="redis://127.0.0.1:1/0",  # where one that is made as modules are imported must not go
    )
    result.assert_outcomes(passed=5)
