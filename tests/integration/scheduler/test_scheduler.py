import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq import Callback, defaults
from rq.exceptions import NoSuchJobError

from scheduler import (
    ConfigError,
    CronError,
    DataHubScheduler,
    QueueStateError,
    Scheduler,
    SchedulerError,
    job_scheduler,
)
from scheduler.cron.store.registry import NEXT, CronRegistry, declaring
from tests.jobs import Recorder, fail, note_success, pid


@pytest.fixture(autouse=True)
def _forget_calls():
    Recorder.calls.clear()


def test_queues_are_worked_in_the_order_given(queue):
    for name, value in (("one", 1), ("two", 2), ("three", 3)):
        queue.enqueue(name, Recorder.record, value, key=value)
    assert queue.work("two", "three", "one")
    assert Recorder.calls == [((2,), {"key": 2}), ((3,), {"key": 3}), ((1,), {"key": 1})]


def test_work_without_a_queue_is_refused(queue):
    with pytest.raises(SchedulerError, match="name at least one"):
        queue.work()


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


def test_clear_leaves_queues_that_were_only_looked_at(queue, rq_redis_url):
    queue.enqueue("theirs", pid)
    with Scheduler("burst-no-fork") as other:
        assert (other.queued_count("theirs"), other.failed_count("theirs")) == (1, 0)
        other.enqueue("mine", pid)
        other.clear()
        assert (other.queued_count("mine"), other.queued_count("theirs")) == (0, 1)


def test_purge_takes_finished_jobs_too(queue, redis_connection):
    queue.enqueue("q", pid)
    queue.work("q")
    assert queue.get_queue("q").finished_job_registry.count == 1
    assert queue.purge("q", "finished") == 0
    assert queue.get_queue("q").finished_job_registry.count == 0
    assert not redis_connection.keys("rq:job:*")


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
    parent = queue.enqueue("q", pid)
    for _ in range(3):
        queue.enqueue("q", fail, depends_on=parent)
    queue.work("q")
    queue.purge("q", "failed")
    queue.purge("q", "finished")
    left = {key.decode() for key in redis_connection.scan_iter("rq:*")}
    assert not {key for key in left if key.startswith(("rq:job:", "rq:results:", "rq:executions:"))}


def test_another_prefix_of_rqs_keys_is_respected(redis_connection, rq_redis_url):
    code = """
from rq import Worker
from scheduler import RecordingWorker, Scheduler
from scheduler.ledger import jobs as ledger
from tests.jobs import fail, pid
scheduler = Scheduler("burst-no-fork")
scheduler.enqueue("q", fail)
scheduler.work("q")
scheduler.purge("q", "failed")
connection = scheduler.get_queue("q").connection
queue = scheduler.get_queue("q")
worker = RecordingWorker([queue], connection=connection)
worker.prepare_execution(scheduler.enqueue("q", pid))
assert ledger.reap(connection) == 0, "it runs"
connection.delete(*connection.keys("*:wip:*"), *connection.keys("*:execution:*"))
assert ledger.reap(connection) == 1, "RQ gave it up"
scheduler.purge("q")
"""
    environment = {**os.environ, "RQ_KEY_PREFIX": "mine", "RQ_REDIS_URL": rq_redis_url}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not redis_connection.keys("*:job:*")
    prefix = b"mine" if hasattr(defaults, "RQ_KEY_PREFIX") else b"rq"  # rq 2 has none
    left = {key.split(b":")[0] for key in redis_connection.scan_iter()}
    assert left == {prefix, b"rqmon"}


def test_an_unknown_queue_state_names_the_known_ones(queue):
    with pytest.raises(QueueStateError, match="'odd': use one of queued, failed, scheduled, finished"):
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


def test_not_async_runs_callbacks_in_any_thread(rq_redis_url):
    with Scheduler(is_async=False) as scheduler, ThreadPoolExecutor(1) as thread:
        job = thread.submit(scheduler.enqueue, "q", pid, on_success=Callback(note_success)).result()
    assert job.is_finished
    assert Recorder.calls == [((job.id,), {})]


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


def test_a_cron_entry_takes_rq_schedulers_id_and_func_name(queue):
    entry = queue.cron("q", "0 0 * * *", pid, id="nightly", use_local_timezone=False, meta=None)
    assert (entry.id, entry.func_name) == ("nightly", "tests.jobs.pid")
    assert [found.func_name for found in queue.scheduled_jobs()] == ["tests.jobs.pid"]
    with pytest.raises(CronError, match="id and cron_id are two names"):
        queue.cron("q", "0 0 * * *", pid, id="a", cron_id="b")


@pytest.mark.parametrize(
    "option",
    [
        {"meta": {"a": 1}},
        {"result_ttl": 0},
        {"result_ttl": 60},
        {"ttl": 60},
        {"at_front": True},
        {"on_failure": pid},
        {"on_success": pid},
        {"repeat": 3},
        {"depends_on": "x"},
        {"use_local_timezone": True},
    ],
)
def test_what_a_cron_entry_cannot_do_is_refused_with_a_word(queue, option):
    [name] = option
    with pytest.raises(CronError, match=f"A cron entry takes no {name}: .+"):
        queue.cron("q", "0 0 * * *", pid, **option)
    assert queue.cron_job_count() == 0


def test_cancelling_all_cron_jobs_says_that_slots_may_be_lost(queue, caplog):
    assert queue.cancel_cron_jobs() == 0
    assert caplog.messages == []
    queue.cron("q", "0 0 * * *", pid)
    assert queue.cancel_cron_jobs() == 0
    assert [(r.message, r.levelname, r.entries) for r in caplog.records] == [
        ("cron_jobs_cancelled", "WARNING", 1)
    ]


def test_cancelling_at_the_start_of_a_cron_process_loses_no_slot(queue, redis_connection, caplog):
    """Do what the origin's cron-scheduler.py does first in schedule_jobs()."""
    job_scheduler(pid, cron="* * * * *", cron_id="theirs")

    def schedule_jobs():
        with DataHubScheduler() as scheduler:
            scheduler.cancel_cron_jobs()
        job_scheduler(pid, cron="* * * * *", cron_id="mine")

    for _ in range(2):  # what CronProcess.run does at each start
        with declaring() as entries:
            schedule_jobs()
        CronRegistry(redis_connection).reconcile(entries, now=datetime.now(UTC))
        redis_connection.zadd(NEXT, {"mine": 4102444800})  # it is not moved at the second start
    assert {entry.id for entry in CronRegistry(redis_connection).entries()} == {"mine", "theirs"}
    assert redis_connection.zscore(NEXT, "mine") == 4102444800
    assert {record.message for record in caplog.records if record.levelname == "WARNING"} == {
        "cron_jobs_kept"
    }


def test_a_scheduler_that_is_not_used_makes_no_connection(monkeypatch):
    monkeypatch.setenv("RQ_REDIS_URL", "no URL")
    with Scheduler():
        pass
