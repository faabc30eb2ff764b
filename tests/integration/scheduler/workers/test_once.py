"""An execution ends correctly, and once, whatever happens to its transactions."""

import os
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from rq import VERSION, Queue, Repeat, Retry

from scheduler.ledger import jobs as ledger
from scheduler.workers import persistence
from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests.jobs import (
    allowing_failure,
    lose_redis,
    push,
    push_and_fail,
    random_bytes,
    retry_itself,
    succeed_at_last,
)
from tests.processes.cutting_proxy import AFTER, BEFORE
from tests.servers import wait_for

ERRORS = {
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "READONLY": "READONLY You can't write against a read only replica.",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "BUSY": "BUSY Redis is busy running a script.",
    "MISCONF": "MISCONF Errors writing to the AOF file",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down",
    "NOSCRIPT": "NOSCRIPT No matching script.",
}
# Function, its arguments after the list's key, its retries; how often it runs, and the counts.
KINDS = {
    "succeeds": (push, ("x",), None, ["succeeded"]),
    "fails": (push_and_fail, ("x",), None, ["failed"]),
    "fails once": (succeed_at_last, (1,), Retry(max=2), ["retried", "succeeded"]),
    "fails once and waits": (succeed_at_last, (1,), Retry(max=2, interval=60), ["retried"]),
    "fails always": (succeed_at_last, (9,), Retry(max=1), ["retried", "failed"]),
    "returns a retry": (retry_itself, (), None, ["retried", "succeeded"]),
}


def outcomes(connection):
    return Counter({outcome: number for (_, _, outcome), number in ledger.read(connection).outcomes.items()})


def assert_ended_once(connection, queue, job, expected):
    assert connection.llen("runs") == len(expected)
    assert outcomes(connection) == Counter(expected)
    kept = [outcome for outcome in expected if outcome != "retried" or b"retry_itself" in job.data]
    assert len(job.results()) == len(kept)  # RQ keeps no result of a retried failure
    left = queue.started_job_registry.get_job_ids(cleanup=False)
    assert (left, queue.get_job_ids(), connection.hlen(ledger.RUNNING)) == ([], [], 0)
    assert connection.llen(queue.intermediate_queue_key) == 0
    status = {"succeeded": "finished", "failed": "failed", "retried": "scheduled"}[expected[-1]]
    assert job.get_status() == status
    registries = {
        "finished": queue.finished_job_registry,
        "failed": queue.failed_job_registry,
        "scheduled": queue.scheduled_job_registry,
    }
    assert [s for s, r in registries.items() if r.get_job_count(cleanup=False)] == [status]
    assert ledger.read(connection).horses_killed == {}


CASES = [(kind, "end", action) for kind in KINDS for action in (BEFORE, AFTER)]


CASES += [(kind, "end", error) for kind in ("succeeds", "fails", "fails once") for error in ERRORS]


CASES += [("fails once", at, action) for at in ("start", "prepare") for action in (BEFORE, AFTER, "OOM")]


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
@pytest.mark.parametrize(("kind", "at", "action"), CASES)
def test_a_lost_or_refused_transaction_changes_nothing(
    redis_connection, through, worker_class, kind, at, action
):
    connection, hits = through(at, ERRORS.get(action, action))
    function, args, retry, expected = KINDS[kind]
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(function, "runs", *args, retry=retry)
    worker_class([Queue("q", connection=connection)], connection=connection).work(burst=True)
    assert hits == [at]
    assert_ended_once(redis_connection, queue, job, expected)


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
@pytest.mark.parametrize("kind", ["succeeds", "fails once"])
def test_what_is_refused_just_before_the_function_is_not_its_failure(
    redis_connection, through, worker_class, kind
):
    connection, hits = through("perform", ERRORS["READONLY"], times=2)
    function, args, retry, expected = KINDS[kind]
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(function, "runs", *args, retry=retry)
    worker_class([Queue("q", connection=connection)], connection=connection).work(burst=True)
    assert len(hits) == (2 if VERSION < "3" else 0)  # rq 3 sends no command there
    assert_ended_once(redis_connection, queue, job, expected)


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_redis_error_of_the_function_is_its_own(redis_connection, worker_class):
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(lose_redis, "runs")
    worker_class([queue], connection=redis_connection).work(burst=True)
    assert_ended_once(redis_connection, queue, job, ["failed"])
    assert "does not answer me" in job.latest_result().exc_string


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_transaction_may_be_lost_several_times(redis_connection, through, worker_class):
    connection, hits = through("end", lambda hits: BEFORE if len(hits) % 2 else ERRORS["READONLY"], times=4)
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(push, "runs", "x", retry=Retry(max=2))
    worker_class([Queue("q", connection=connection)], connection=connection).work(burst=True)
    assert len(hits) == 4
    assert_ended_once(redis_connection, queue, job, ["succeeded"])


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_result_larger_than_redis_takes_fails_its_job_at_once(redis_connection, monkeypatch, worker_class):
    monkeypatch.setattr(persistence, "_MOST_BYTES", 10_000)
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(random_bytes, 20_000)
    worker_class([queue], connection=redis_connection).work(burst=True)
    assert job.get_status(refresh=True) == "failed"
    assert "store it elsewhere" in job.latest_result().exc_string
    assert outcomes(redis_connection) == Counter({"failed": 1})
    assert queue.started_job_registry.get_job_ids(cleanup=False) == []


@pytest.mark.parametrize("repeat", [None, Repeat(times=2)], ids=["once", "repeated"])
@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_dependent_that_comes_as_its_parent_ends_is_run_and_so_was_the_parent(
    redis_connection, through, worker_class, repeat
):
    queue = Queue("q", connection=redis_connection)

    def enqueue_dependent(_hits):
        queue.enqueue(push, "dependents", "x", depends_on=job)

    connection, hits = through("end", enqueue_dependent)
    job = queue.enqueue(push, "runs", "x", repeat=repeat, retry=Retry(max=2))
    worker_class([Queue("q", connection=connection)], connection=connection).work(burst=True)
    runs = 3 if repeat else 1
    assert hits
    assert redis_connection.llen("runs") == runs
    assert redis_connection.llen("dependents") == 1
    assert outcomes(redis_connection) == {"succeeded": runs + 1}
    assert queue.started_job_registry.get_job_ids(cleanup=False) == []


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_dependent_of_a_failure_is_enqueued_although_redis_refused(redis_connection, through, worker_class):
    connection, hits = through("dependents", ERRORS["READONLY"])
    queue = Queue("q", connection=redis_connection)
    parent = queue.enqueue(push_and_fail, "runs", "x")
    queue.enqueue(push, "dependents", "x", depends_on=allowing_failure(parent))
    worker_class([Queue("q", connection=connection)], connection=connection).work(burst=True)
    assert hits
    assert redis_connection.llen("dependents") == 1
    assert outcomes(redis_connection) == {"failed": 1, "succeeded": 1}


def test_a_horse_that_dies_when_its_end_is_written_has_ended(redis_connection, through):
    """Its worker finds it dead and the job already queued again: the job must not be queued twice."""

    def kill_when_written(_hits):
        horse = int(redis_connection.lindex("runs", 0))
        # The proxy's thread is blocked meanwhile, so the test asks Redis instead of the horse.
        os.kill(horse, signal.SIGSTOP)
        killer.append(horse)

    killer = []
    connection, _ = through("end", kill_when_written)
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(succeed_at_last, "runs", 9, retry=Retry(max=2))

    class Kills(RecordingWorker):
        """Its horse dies as soon as Redis has executed what it sent."""

        def monitor_work_horse(self, *args):
            if not killed:
                wait_for(lambda: bool(killer))
                wait_for(lambda: not redis_connection.exists(ledger.RUNNING))
                os.kill(killer[0], signal.SIGKILL)
                killed.append(True)
            super().monitor_work_horse(*args)

    killed = []
    Kills([Queue("q", connection=connection)], connection=connection).work(burst=True)
    assert killed
    assert redis_connection.llen("runs") == 3  # one and two retries
    assert outcomes(redis_connection) == {"retried": 2, "failed": 1}
    assert job.get_status() == "failed"


def test_what_fails_after_the_end_of_a_success_makes_it_no_failure(redis_connection):
    """On rq 3 a slot is freed then; on both a line is logged."""

    def breaks(record):
        if record.msg.startswith("Successfully completed"):
            raise OSError("the log is full")
        return True

    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(push, "runs", "x")
    worker = InProcessWorker([queue], connection=redis_connection)
    worker.log.addFilter(breaks)
    try:
        worker.work(burst=True)
    finally:
        worker.log.removeFilter(breaks)
    assert_ended_once(redis_connection, queue, job, ["succeeded"])


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
@pytest.mark.parametrize(
    ("retry", "ran", "counted"),
    [(None, 0, {"abandoned": 1}), (Retry(max=1), 1, {"abandoned": 1, "succeeded": 1})],
)
def test_a_job_that_was_given_up_before_it_began_is_left_alone(
    redis_connection, through, worker_class, retry, ran, counted
):
    queue = Queue("q", connection=redis_connection)

    def give_up(_hits):
        seen = queue.intermediate_queue.get_first_seen_key(job.id)
        redis_connection.set(seen, (datetime.now(UTC) - timedelta(minutes=2)).timestamp())
        redis_connection.delete(queue.registry_cleaning_key)
        RecordingWorker([queue], connection=redis_connection).clean_registries()
        return BEFORE

    connection, hits = through("start", give_up)
    job = queue.enqueue(push, "runs", "x", retry=retry)
    worker_class([Queue("q", connection=connection)], connection=connection).work(burst=True)
    assert hits == ["start"]
    assert redis_connection.llen("runs") == ran
    assert outcomes(redis_connection) == counted
    assert job.get_status() == ("finished" if ran else "failed")
    assert redis_connection.llen(queue.intermediate_queue_key) == 0
    assert redis_connection.hlen(ledger.RUNNING) == 0


@pytest.mark.parametrize("retry", [None, Retry(max=1, interval=600)])
@pytest.mark.parametrize("function", [push, push_and_fail])
def test_a_job_that_was_given_up_as_it_ran_stays_so_when_it_ends(redis_connection, through, function, retry):
    """The worker was killed, for example, and its horse goes on."""
    queue = Queue("q", connection=redis_connection)

    def give_up(_hits):
        for token in redis_connection.zrange(queue.started_job_registry.key, 0, -1):
            redis_connection.zadd(queue.started_job_registry.key, {token: 1})
        redis_connection.delete(queue.registry_cleaning_key)
        RecordingWorker([queue], connection=redis_connection).clean_registries()

    connection, hits = through("heartbeat", give_up)
    job = queue.enqueue(function, "runs", "x", retry=retry)
    RecordingWorker([Queue("q", connection=connection)], connection=connection).work(burst=True)
    assert hits == ["heartbeat"]
    assert redis_connection.llen("runs") == 1
    assert outcomes(redis_connection) == {"abandoned": 1}
    registry = queue.scheduled_job_registry if retry else queue.failed_job_registry
    assert job.get_status() == ("scheduled" if retry else "failed")
    assert registry.get_job_ids() == [job.id]
    assert queue.finished_job_registry.get_job_ids() == []
