"""Each execution is counted once, by how it ended, with how long its job waited and ran."""

import logging
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from rq import Queue, Retry, SimpleWorker

from scheduler import ConfigError, job_scheduler
from scheduler.jobs import DUE_AT
from scheduler.ledger import jobs as ledger
from scheduler.serializers import configured
from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests import odd_texts
from tests.jobs import again, fail, lose_keys, pid, refuse, sleep
from tests.recorded import outcomes
from tests.servers import wait_for


@pytest.mark.usefixtures("either_serializer")
def test_each_execution_is_counted_once_by_how_it_ended(queue, redis_connection):
    job_scheduler(pid)
    job_scheduler(fail, max_retries=2)
    job_scheduler(fail, max_retries=None)
    job_scheduler(refuse, max_retries=1)
    job_scheduler(again, max_retries=None)
    queue.work("short-running")
    assert outcomes(redis_connection) == {
        ("pid", "succeeded"): 1,
        ("fail", "retried"): 2,
        ("fail", "failed"): 2,
        ("refuse", "rate_limited"): 2,
        ("again", "retried"): 1,
        ("again", "failed"): 1,
    }
    counts = ledger.read(redis_connection)
    assert counts.failures == {
        ("short-running", "ValueError"): 4,
        ("short-running", "scheduler.errors.TooManyRequests"): 2,
    }
    assert sum(sum(h.buckets.values()) for h in counts.run.values()) == 9
    assert sum(sum(h.buckets.values()) for h in counts.wait.values()) == 9
    assert not redis_connection.exists(ledger.RUNNING)


def test_a_time_out_fails_and_its_run_time_is_known(queue, redis_connection):
    job_scheduler(sleep, (5,), job_timeout=1, max_retries=None)
    queue.work("short-running")
    counts = ledger.read(redis_connection)
    assert counts.failures == {("short-running", "rq.timeouts.JobTimeoutException"): 1}
    [histogram] = counts.run.values()
    assert histogram.buckets == {2.5: 1}
    assert 1 <= histogram.sum_seconds < 2.5


def test_the_wait_of_a_scheduled_job_is_from_its_due_time(queue, redis_connection):
    job_scheduler(pid, time_delta=timedelta(seconds=1))
    job = Queue("short-running", connection=redis_connection).scheduled_job_registry.get_job_ids()[0]
    wait_for(lambda: time.time() > redis_connection.zscore("rq:scheduled:short-running", job) + 0.5)
    queue.work("short-running", with_scheduler=True)
    [histogram] = ledger.read(redis_connection).wait.values()
    assert 0.5 <= histogram.sum_seconds < 5


@pytest.mark.usefixtures("either_serializer")
@pytest.mark.parametrize(
    "worker_class",
    ["scheduler.workers.RecordingWorker", "scheduler.workers.InProcessWorker"],
)
def test_rqs_own_command_line_records(rq_redis_url, redis_connection, worker_class):
    Queue("plain", connection=redis_connection, serializer=configured()).enqueue(pid)
    rq = [
        sys.executable,
        "-m",
        "rq.cli",
        "worker",
        "--burst",
        "--url",
        rq_redis_url,
        "--worker-class",
        worker_class,
    ]
    subprocess.run([*rq, "plain"], check=True, capture_output=True, timeout=30)
    assert outcomes(redis_connection) == {("pid", "succeeded"): 1}


@pytest.mark.usefixtures("either_serializer")
def test_a_pool_of_workers_records(rq_redis_url, redis_connection):
    for _ in range(4):
        Queue("plain", connection=redis_connection, serializer=configured()).enqueue(pid)
    rq = [sys.executable, "-m", "rq.cli", "worker-pool", "--burst", "--url", rq_redis_url]
    command = [
        *rq,
        "--num-workers",
        "2",
        "--worker-class",
        "scheduler.workers.RecordingWorker",
        "plain",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert outcomes(redis_connection) == {("pid", "succeeded"): 4}


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_job_that_cant_be_loaded_fails_and_the_next_one_runs(redis_connection, worker_class):
    queue = Queue("q", connection=redis_connection)
    broken = queue.enqueue(pid)
    redis_connection.hset(broken.key, "data", b"junk")
    queue.enqueue(pid)
    worker_class([queue], connection=redis_connection).work(burst=True)
    assert outcomes(redis_connection) == {("unknown", "failed"): 1, ("pid", "succeeded"): 1}
    assert ledger.read(redis_connection).failures == {("q", "rq.exceptions.DeserializationError"): 1}
    assert ledger.read(redis_connection).horses_killed == {}


@pytest.mark.parametrize("due", ["2026-12-01", 0, 1000.0, float("nan"), 1e18, None])
@pytest.mark.parametrize("key", ["due_at", DUE_AT])
def test_no_meta_spoils_a_job_or_its_wait_time(redis_connection, key, due):
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(pid, meta={key: due})
    InProcessWorker([queue], connection=redis_connection).work(burst=True)
    assert outcomes(redis_connection) == {("pid", "succeeded"): 1}
    [wait] = ledger.read(redis_connection).wait.values()
    if (key, due) != (DUE_AT, 1000.0):  # only this package sets that
        assert wait.sum_seconds < 10
    assert repr(job.get_meta()[key]) == repr(due)


def test_a_returned_retry_notes_when_it_is_due(redis_connection):
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(again, 30)
    before = time.time()
    InProcessWorker([queue], connection=redis_connection).work(burst=True)
    assert before + 30 <= job.get_meta()[DUE_AT] <= time.time() + 30
    assert queue.scheduled_job_registry.get_job_ids() == [job.id]


def test_buckets_that_cant_be_are_refused_before_a_job_is_taken(redis_connection, monkeypatch):
    queue = Queue("q", connection=redis_connection)
    queue.enqueue(pid)
    monkeypatch.setenv("RQ_JOB_BUCKETS", "1,1")
    with pytest.raises(ConfigError, match="RQ_JOB_BUCKETS"):
        RecordingWorker([queue], connection=redis_connection).work(burst=True)
    assert queue.count == 1


def test_functions_are_told_apart_up_to_a_bound(redis_connection):
    for number in range(ledger.MAX_NAMES + 5):
        token = f"{number}:1"
        known = ledger.details(function=f"f{number}", wait_seconds=0, bounds=(1.0,))
        ledger.note_start(redis_connection, token, queue="q", details=known)
        outcome = ledger.JobOutcome.SUCCEEDED
        ledger.count_end(
            redis_connection, token, outcome, run_seconds=0, bounds=(1.0,), exception=None, runs_again=True
        )
    counted = ledger.read(redis_connection).outcomes
    assert len(counted) == ledger.MAX_NAMES + 1
    assert counted[("q", ledger.OTHER, "succeeded")] == 5


def test_recording_costs_one_round_trip(redis_connection):
    """Before the end is written, Redis is asked whether the job was given up; recording adds no trip."""

    def batches(worker_class):
        redis_connection.flushdb()  # what the first one leaves behind would change what the second does
        queue = Queue("q", connection=redis_connection)
        for _ in range(5):
            queue.enqueue(pid)
        redis_connection.config_resetstat()
        worker_class([queue], connection=redis_connection).work(burst=True)
        stats = redis_connection.info("commandstats")
        inside = {
            "eval",
            "hset",
            "hget",
            "hdel",
            "hincrby",
            "hincrbyfloat",
            "sismember",
            "scard",
            "sadd",
            "hkeys",
            "del",  # with the start, the note that the job was seen in the intermediate list
            "hello",  # for a new connection, like the next
            "client|setinfo",
            "zmscore",  # whether Redis is too old, once at the start
        }
        return sum(s["calls"] for name, s in stats.items() if name.removeprefix("cmdstat_") not in inside)

    # With RQ's maintenance, not with each job: the checks for abandoned executions and for the lock's owner.
    # The second look is an HKEYS.
    # The least of three, because a process of the previous test may still be signing off.
    ours, rqs = (min(batches(worker) for _ in range(3)) for worker in (InProcessWorker, SimpleWorker))
    assert ours == rqs + 2 + 5


@pytest.fixture
def without_logs():
    """Captured output is sent between xdist's processes, and a lone surrogate would break that."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("either_serializer", "without_logs")
@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
@pytest.mark.parametrize("function", [*odd_texts.FAIL, *odd_texts.SUCCEED], ids=lambda f: f.__name__)
def test_a_job_with_a_text_that_cant_be_stored_ends_as_any_other(redis_connection, worker_class, function):
    queue = Queue("q", connection=redis_connection, serializer=configured())
    job = queue.enqueue(function, retry=Retry(max=1))
    queue.enqueue(pid)
    worker_class([queue], connection=redis_connection).work(burst=True)
    succeeds = function in odd_texts.SUCCEED
    expected = {"succeeded": 1} if succeeds else {"retried": 1, "failed": 1}
    counted = {(function.__name__, outcome): number for outcome, number in expected.items()}
    assert outcomes(redis_connection) == counted | {("pid", "succeeded"): 1}
    counts = ledger.read(redis_connection)
    assert (counts.horses_killed, counts.unreadable) == ({}, ())
    assert job.get_status() == ("finished" if succeeds else "failed")
    if not succeeds:
        assert "Traceback" in job.latest_result().exc_string
        assert len(job.latest_result().exc_string) < 110_000


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_job_whose_note_a_full_redis_evicted_ends_as_what_it_was(redis_connection, worker_class):
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(lose_keys, ledger.RUNNING, retry=Retry(max=1))
    worker_class([queue], connection=redis_connection).work(burst=True)
    assert job.get_status(refresh=True) == "finished"
    assert outcomes(redis_connection) == {("unknown", "succeeded"): 1}
    assert queue.started_job_registry.get_job_ids(cleanup=False) == []
    assert not redis_connection.exists(ledger.RUNNING)


def test_a_note_that_cant_be_read_keeps_no_other_from_being_counted(redis_connection):
    notes = [
        "not json",
        "[]",
        "5",
        "null",
        "{}",
        '{"queue": 5}',
        '{"queue": "q", "wait": "x", "wait_le": "1"}',
    ]
    redis_connection.hset(ledger.RUNNING, mapping={f"job:{n}": note for n, note in enumerate(notes)})
    redis_connection.hset(ledger.RUNNING, mapping={"no token": '{"queue": "q"}', "job:it": '{"queue": "q"}'})
    assert ledger.reap(redis_connection) == 1
    assert not redis_connection.exists(ledger.RUNNING)


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_job_seen_on_its_way_is_not_given_up_on_its_next_way(redis_connection, worker_class):
    queue = Queue("q", connection=redis_connection)
    job, on_its_way = queue.enqueue(pid), queue.intermediate_queue
    worker = worker_class([queue], connection=redis_connection)
    redis_connection.lmove(queue.key, on_its_way.key)
    worker.clean_registries()
    assert on_its_way.get_first_seen(job.id)
    redis_connection.lmove(on_its_way.key, queue.key)
    worker.work(burst=True)
    assert on_its_way.get_first_seen(job.id) is None
