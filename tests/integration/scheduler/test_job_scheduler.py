import functools
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from enum import Enum
from unittest.mock import Mock, patch

import pytest
from redis import Redis
from rq import Repeat, Retry

from scheduler import (
    LONG_RUNNING_QUEUE,
    SHORT_RUNNING_QUEUE,
    ArgumentError,
    CronError,
    FunctionError,
    RetryError,
    ScheduleConflictError,
    Scheduler,
    SchedulerError,
    job_scheduler,
)
from scheduler.cron.constants import EVERY_MINUTE
from scheduler.queues import shared_connection
from tests.jobs import Recorder, fail, pid, push, push_and_fail


def test_a_job_is_queued_with_the_origins_defaults(queue):
    job = job_scheduler(pid)
    assert queue.queued_count(SHORT_RUNNING_QUEUE) == 1
    stored = queue.job(job.id)
    assert (stored.origin, stored.timeout, stored.retries_left) == (SHORT_RUNNING_QUEUE, 180, 3)
    assert stored.retry_intervals == [0]


@pytest.mark.usefixtures("either_serializer")
def test_positional_order_is_the_origins(queue):
    job = job_scheduler(Recorder.record, (1, 2), {"a": 3}, 2, "other", True, 30, 0, None, None, 600, "words")
    stored = queue.job(job.id)
    assert (tuple(stored.args), stored.kwargs, stored.origin) == ((1, 2), {"a": 3}, "other")
    assert (stored.retries_left, stored.retry_intervals) == (2, [30, 60])
    assert (stored.timeout, stored.description) == (600, "words")


def test_no_retry_when_max_retries_is_none(queue):
    job = job_scheduler(fail, max_retries=None)
    queue.work(SHORT_RUNNING_QUEUE)
    assert queue.failed_count(SHORT_RUNNING_QUEUE) == 1
    assert queue.job(job.id).is_failed


@pytest.mark.usefixtures("either_serializer")
def test_a_failing_job_is_retried_as_often_as_asked(queue, redis_connection):
    job = job_scheduler(push_and_fail, ("runs", 1), max_retries=2)
    queue.work(SHORT_RUNNING_QUEUE)
    stored = queue.job(job.id)
    assert stored.is_failed
    assert stored.retries_left == 0
    assert redis_connection.llen("runs") == 3


def test_a_retry_with_an_interval_waits(queue):
    job = job_scheduler(fail, max_retries=3, retry_intervals=[60, 120])
    queue.work(SHORT_RUNNING_QUEUE)
    assert queue.job(job.id).is_scheduled
    assert queue.scheduled_count(SHORT_RUNNING_QUEUE) == 1


@pytest.mark.usefixtures("either_serializer")
def test_time_delta_schedules_for_later_and_never_early(queue):
    for seconds in (0.1, 1, 1.9, 3600):
        asked = datetime.now(UTC) + timedelta(seconds=seconds)
        job = job_scheduler(
            pid, time_delta=timedelta(seconds=seconds), queue_name=LONG_RUNNING_QUEUE, description="later"
        )
        due = queue.get_queue(LONG_RUNNING_QUEUE).scheduled_job_registry.get_scheduled_time(job)
        assert asked <= due <= asked + timedelta(seconds=1.5)
        assert queue.job(job.id).description == "later"
    assert queue.scheduled_count(LONG_RUNNING_QUEUE) == 4
    assert queue.queued_count(LONG_RUNNING_QUEUE) == 0


@pytest.mark.usefixtures("either_serializer")
def test_a_cron_can_be_used_as_the_origins_callers_use_it(queue):
    job = job_scheduler(
        Recorder.record,
        ("a",),
        {"b": 1},
        cron=EVERY_MINUTE,
        description="Test cron",
        retry_backoff=True,
        job_timeout=7,
    )
    assert job in queue.scheduled_jobs()
    assert queue.cron_job_count() == 1
    assert job.meta == {"cron_string": EVERY_MINUTE, "use_local_timezone": False}
    assert (job.description, job.timeout) == ("Test cron", 7)
    [stored] = queue.scheduled_jobs()
    assert (stored.args, stored.kwargs) == (("a",), {"b": 1})
    assert (stored.retry_max, stored.retry_intervals) == (3, (1, 2, 4))
    assert queue.cancel_cron_jobs() == 0
    assert queue.scheduled_jobs() == []


def nested_function():
    def nested():
        pass

    return nested


class Callable:
    def __call__(self):
        pass


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"cron": EVERY_MINUTE, "time_delta": timedelta(1)}, ScheduleConflictError),
        ({"cron": EVERY_MINUTE, "interval_seconds": 5}, ScheduleConflictError),
        ({"timezone": "Europe/London"}, ScheduleConflictError),
        ({"cron": EVERY_MINUTE, "timezone": "Mars/Olympus"}, CronError),
        ({"interval_seconds": 0}, CronError),
        ({"cron": "61 * * * *"}, CronError),
        ({"time_delta": 5}, SchedulerError),
        ({"job_timeout": 0}, SchedulerError),
        ({"queue_name": ""}, SchedulerError),
        ({"function": "os."}, FunctionError),
        ({"cron": 5}, CronError),
        ({"cron": EVERY_MINUTE, "function_args": (nested_function(),)}, ArgumentError),
        ({"function_args": (nested_function(),)}, ArgumentError),
        ({"function_args": "Ann"}, SchedulerError),
        ({"max_retries": -1}, RetryError),
        ({"retry_backoff": -1}, RetryError),
        ({"retry_intervals": 10**12}, RetryError),
        ({"retry_intervals": 10**12, "cron": EVERY_MINUTE}, RetryError),
        ({"job_timeout": 0.5}, SchedulerError),
        ({"job_timeout": 10**12}, SchedulerError),
        ({"time_delta": timedelta.max}, SchedulerError),
        ({"time_delta": timedelta.min}, SchedulerError),
        ({"function": lambda: None}, FunctionError),
        ({"function": nested_function()}, FunctionError),
        ({"function": Recorder}, FunctionError),
        ({"function": functools.partial(pid), "cron": EVERY_MINUTE}, FunctionError),
        ({"function": Callable(), "cron": EVERY_MINUTE}, FunctionError),
        ({"queue_name": 5}, ArgumentError),
        ({"queue_name": b"short-running"}, ArgumentError),
        ({"queue_name": ["short-running"]}, ArgumentError),
        ({"queue_name": {"short-running"}, "cron": EVERY_MINUTE}, ArgumentError),
        ({"description": timedelta(1)}, ArgumentError),
        ({"function_kwargs": {1: 2}}, ArgumentError),
        ({"function_kwargs": {1: 2}, "cron": EVERY_MINUTE}, ArgumentError),
    ],
)
def test_bad_input_is_refused_before_redis_is_touched(kwargs, error, monkeypatch):
    monkeypatch.setenv("RQ_REDIS_URL", "redis://127.0.0.1:1/0")  # nobody answers there
    with pytest.raises(error):
        job_scheduler(**{"function": pid, **kwargs})


@pytest.mark.parametrize(
    "options",
    [
        {"retry": Retry(max=1, interval=10**12)},
        {"retry": Retry(max=1, interval=[])},
        {"repeat": Repeat(times=1, interval=10**12)},
        {"result_ttl": 10**17},
        {"failure_ttl": float("inf")},
        {"ttl": -3},
        {"job_timeout": "0h"},
    ],
)
def test_so_are_rq_s_own_options(options):
    with Redis(port=1) as away, pytest.raises(SchedulerError):
        Scheduler(connection=away).enqueue("q", pid, **options)


SURROGATE = "\ud800"


@pytest.mark.parametrize("when", [{}, {"time_delta": timedelta(1)}])
@pytest.mark.parametrize(
    "bad",
    [
        {"function_args": ((number for number in "a"),)},
        {"function_kwargs": [1]},
        {"queue_name": SURROGATE},
        {"description": SURROGATE},
    ],
    ids=["generator among them", "list", "queue", "description"],
)
def test_what_redis_cannot_hold_is_refused_and_leaves_nothing(bad, when, redis_connection):
    with pytest.raises(ArgumentError, match=r": use |can't be pickled"):
        job_scheduler(pid, **bad, **when)
    assert redis_connection.dbsize() == 0


@pytest.mark.parametrize("when", [{}, {"time_delta": timedelta(1)}, {"cron": EVERY_MINUTE}])
def test_a_generator_of_arguments_is_gone_through_once(when, queue):
    job = job_scheduler(push, (argument for argument in ("key", "value")), **when)
    assert job.args == ("key", "value")


@pytest.mark.parametrize("option", [{"job_id": SURROGATE}, {"meta": [1]}])
def test_so_is_rq_s_own(option, queue, redis_connection):
    with pytest.raises(ArgumentError, match=": use "):
        queue.enqueue("q", pid, **option)
    assert redis_connection.dbsize() == 0


class Name(str, Enum):  # noqa: UP042 (its text is "Name.QUEUE")
    QUEUE = "mine"


def test_the_name_of_a_queue_may_be_an_enums(queue):
    job = job_scheduler(pid, queue_name=Name.QUEUE)
    assert job_scheduler(pid, queue_name=Name.QUEUE, cron=EVERY_MINUTE).queue_name == "mine"
    assert queue.queued_count("mine") == queue.queued_count(Name.QUEUE) == 1
    queue.work(Name.QUEUE)
    assert queue.job(job.id).is_finished


def test_the_description_shows_no_arguments(queue):
    job = job_scheduler(push, ("a-secret", "value"))
    assert queue.job(job.id).description == "tests.jobs.push"


def test_a_call_opens_no_new_connection(redis_connection: Redis):
    job_scheduler(pid)
    before = redis_connection.info("stats")["total_connections_received"]
    for _ in range(20):
        job_scheduler(pid)
    assert redis_connection.info("stats")["total_connections_received"] == before


def test_connections_of_one_url_share_a_pool(rq_redis_url):
    assert shared_connection(rq_redis_url).connection_pool is shared_connection(rq_redis_url).connection_pool


def test_what_a_test_puts_in_the_schedulers_place_is_called_each_time():
    first, second = Mock(), Mock()
    with patch("scheduler.job_scheduler.DataHubScheduler") as replaced:
        for calls, scheduler in enumerate((first, second), 1):
            replaced.return_value.__enter__.return_value = scheduler
            assert job_scheduler(pid) is scheduler.enqueue.return_value
            assert replaced.call_count == calls
        replaced.return_value = nullcontext(first)
        assert job_scheduler(pid) is first.enqueue.return_value
