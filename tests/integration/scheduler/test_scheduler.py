import os
from datetime import timedelta

import pytest
from redis import Redis
from rq.exceptions import NoSuchJobError

from scheduler import ConfigError, DataHubScheduler, QueueStateError, Scheduler, SchedulerError
from tests.jobs import Recorder, fail, pid


@pytest.fixture(autouse=True)
def _forget_calls():
    Recorder.calls.clear()


def test_queues_are_worked_in_the_order_given(queue):
    for name, value in (("one", 1), ("two", 2), ("three", 3)):
        queue.enqueue(name, Recorder.record, value, key=value)
    assert queue.work("two", "three", "one")
    assert Recorder.calls == [((2,), {"key": 2}), ((3,), {"key": 3}), ((1,), {"key": 1})]


def test_another_queues_jobs_are_left_alone(queue):
    queue.enqueue("dead-letter", Recorder.record)
    assert not queue.work("not-dead-letter")
    assert Recorder.calls == []
    assert queue.queued_count("dead-letter") == 1


def test_clear_empties_the_queues_it_used(queue):
    for name in ("a", "b"):
        queue.enqueue(name, Recorder.record)
    queue.clear()
    assert [queue.queued_count(name) for name in ("a", "b")] == [0, 0]


def test_purge_returns_what_is_left_and_leaves_other_states(queue):
    queue.enqueue("q", fail)
    queue.work("q")
    queue.enqueue("q", pid)
    assert (queue.queued_count("q"), queue.failed_count("q")) == (1, 1)
    assert queue.purge("q") == 0
    assert (queue.queued_count("q"), queue.failed_count("q")) == (0, 1)
    [failed_id] = queue.get_queue("q").failed_job_registry.get_job_ids()
    assert queue.purge("q", "failed") == 0
    assert queue.failed_count("q") == 0
    with pytest.raises(NoSuchJobError):
        queue.job(failed_id)


def test_purging_leaves_no_key_behind(queue, redis_connection):
    for _ in range(3):
        queue.enqueue("q", fail)
    queue.work("q")
    queue.purge("q", "failed")
    left = {key.decode() for key in redis_connection.scan_iter("rq:*")}
    assert not {key for key in left if key.startswith(("rq:job:", "rq:results:"))}


def test_an_unknown_queue_state_names_the_known_ones(queue):
    with pytest.raises(QueueStateError, match="'odd': use one of queued, failed, scheduled"):
        queue.purge("q", "odd")


def test_an_unknown_strategy_names_the_known_ones():
    with pytest.raises(SchedulerError, match="'threads': use one of fork, pool, burst-no-fork"):
        Scheduler("threads")


def test_leaving_the_context_gives_the_connection_back(rq_redis_url):
    with DataHubScheduler("burst-no-fork") as scheduler:
        scheduler.enqueue("q", pid)
    assert scheduler._connection.connection is None
    assert DataHubScheduler is Scheduler


def test_not_async_runs_the_job_in_the_caller(rq_redis_url):
    with Scheduler(is_async=False) as scheduler:
        job = scheduler.enqueue("q", pid)
        assert job.return_value() == os.getpid()
        assert scheduler.queued_count("q") == 0


def test_a_job_timeout_is_kept(queue):
    assert queue.job(queue.enqueue("q", pid, job_timeout=600).id).timeout == 600


def test_purge_copes_with_more_than_one_batch(queue):
    for _ in range(1100):
        queue.enqueue_in("q", timedelta(hours=1), pid)
    assert queue.scheduled_count("q") == 1100
    assert queue.purge("q", "scheduled") == 0


def test_a_connection_that_decodes_is_refused(redis_connection):
    port = redis_connection.connection_pool.connection_kwargs["port"]
    with Redis(port=port, decode_responses=True) as decoding, pytest.raises(ConfigError, match="decode_resp"):
        Scheduler(connection=decoding)
