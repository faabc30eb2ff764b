"""A job that RQ could not handle affects no other job and no worker."""

import time

import pytest
from redis.exceptions import RedisError
from rq import Queue, Repeat, Retry
from rq.job import JobStatus

from scheduler.ledger import jobs as ledger
from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests.jobs import again, fail, pid


@pytest.mark.parametrize(
    "options",
    [
        {"retry": Retry(max=1, interval=10**12)},
        {"retry": Retry(max=2, interval=[0, 10**20])},
        {"retry": Retry(max=1, interval=[float("inf")])},
        {"retry": Retry(max=1, interval=[float("nan")])},
        {"args": (10**12,)},
    ],
)
@pytest.mark.parametrize("worker_class", [RecordingWorker, InProcessWorker])
def test_a_retry_that_never_comes_costs_its_own_job_alone(redis_connection, options, worker_class):
    queue = Queue("q", connection=redis_connection)
    bad = queue.enqueue(again if "args" in options else fail, **options)
    good = queue.enqueue(pid)
    worker_class(["q"], connection=redis_connection).work(burst=True)
    assert (bad.get_status(refresh=True), good.get_status(refresh=True)) == ("failed", "finished")
    outcomes = {outcome: number for (_, _, outcome), number in ledger.read(redis_connection).outcomes.items()}
    assert outcomes == {"failed": 1, "succeeded": 1}


@pytest.mark.parametrize("worker_class", [RecordingWorker, InProcessWorker])
def test_a_list_of_no_waits_is_no_wait(redis_connection, worker_class):
    queue = Queue("q", connection=redis_connection)
    bad, good = queue.enqueue(fail, retry=Retry(max=2, interval=[])), queue.enqueue(pid)
    worker_class(["q"], connection=redis_connection).work(burst=True)
    assert (bad.get_status(refresh=True), good.get_status(refresh=True)) == ("failed", "finished")
    outcomes = {outcome: number for (_, _, outcome), number in ledger.read(redis_connection).outcomes.items()}
    assert outcomes == {"retried": 2, "failed": 1, "succeeded": 1}


def test_who_cleans_up_after_it_goes_on(redis_connection):
    queue = Queue("q", connection=redis_connection)
    abandoned = queue.enqueue(fail, retry=Retry(max=1, interval=10**12))
    stuck = queue.enqueue(fail, retry=Retry(max=1, interval=10**12))
    good = queue.enqueue(pid)
    without_waits = queue.enqueue(pid, retry=Retry(max=1, interval=[]))
    dead = RecordingWorker(["q"], connection=redis_connection)
    for job in (abandoned, without_waits):
        redis_connection.lrem(queue.key, 1, job.id)
        dead.prepare_execution(job)
        job.set_status(JobStatus.STARTED)
    for member in redis_connection.zrange(queue.started_job_registry.key, 0, -1):
        redis_connection.zadd(queue.started_job_registry.key, {member: 1})
    redis_connection.lmove(queue.key, queue.intermediate_queue_key)
    redis_connection.set(queue.intermediate_queue.get_first_seen_key(stuck.id), time.time() - 61)
    RecordingWorker(["q"], connection=redis_connection).work(burst=True)
    jobs = [job.get_status(refresh=True) for job in (abandoned, stuck, good, without_waits)]
    assert jobs == ["failed", "failed", "finished", "finished"]


@pytest.mark.parametrize("result_ttl", [10**12, 10**17, 10**20])
def test_a_result_that_is_kept_for_ages_is_kept(redis_connection, result_ttl):
    job = Queue("q", connection=redis_connection).enqueue(pid, result_ttl=result_ttl)
    InProcessWorker(["q"], connection=redis_connection).work(burst=True)
    assert job.get_status(refresh=True) == "finished"
    assert ledger.read(redis_connection).outcomes == {("q", "tests.jobs.pid", "succeeded"): 1}


def test_a_repeat_that_never_comes_fails_its_own_job_alone(redis_connection):
    queue = Queue("q", connection=redis_connection)
    bad, good = queue.enqueue(pid, repeat=Repeat(times=1, interval=10**12)), queue.enqueue(pid)
    RecordingWorker(["q"], connection=redis_connection).work(burst=True)
    assert (bad.get_status(refresh=True), good.get_status(refresh=True)) == ("failed", "finished")


def test_maintenance_that_fails_ends_no_worker(redis_connection, monkeypatch):
    worker = InProcessWorker(["q"], connection=redis_connection)

    def broken():
        raise ValueError("spanner in the works")

    monkeypatch.setattr(worker, "clean_registries", broken)
    job = Queue("q", connection=redis_connection).enqueue(pid)
    assert worker.work(burst=True)
    assert job.get_status() == "finished"
    assert not worker.should_run_maintenance_tasks


def test_an_in_process_worker_raises_what_it_died_of(redis_connection, monkeypatch):
    worker = InProcessWorker(["q"], connection=redis_connection)

    def broken(*_args):
        raise RedisError("spanner in the works")

    Queue("q", connection=redis_connection).enqueue(pid)
    monkeypatch.setattr(worker, "perform_job", broken)
    with pytest.raises(RedisError, match="spanner"):
        worker.work(burst=True)


FIELDS = [
    *("created_at", "enqueued_at", "started_at", "ended_at", "last_heartbeat", "status", "worker_name"),
    *("timeout", "result_ttl", "failure_ttl", "ttl", "description", "group_id", "exc_info", "result", "meta"),
    *("success_callback_name", "success_callback_timeout", "failure_callback_name"),
    *("failure_callback_timeout", "stopped_callback_name", "stopped_callback_timeout", "webhooks"),
    *("dependency_ids", "dependency_id", "allow_dependency_failures", "enqueue_at_front"),
    *("number_of_retries", "retries_left", "retry_intervals", "enqueue_at_front_on_retry"),
    *("repeats_left", "repeat_intervals", "rate_limit_key", "rate_limit_concurrency", b"\xff", "data"),
]


@pytest.mark.parametrize("worker_class", [RecordingWorker, InProcessWorker])
def test_a_field_that_cannot_be_read_costs_no_worker(worker_class, redis_connection):
    queue = Queue("q", connection=redis_connection)
    jobs = {}
    for function in (pid, fail):
        for field in FIELDS:
            for junk in (b"\xff\xfe", b"x", b"5", b'{"a": 1}'):
                if junk == b"5" and field not in ("dependency_ids", "retry_intervals", "repeat_intervals"):
                    continue
                job = queue.enqueue(function, retry=Retry(max=1))
                redis_connection.hset(job.key, field, junk)
                jobs[job.key] = (function.__name__, field, junk)
    good = queue.enqueue(pid)
    worker_class([queue], connection=redis_connection).work(burst=True)
    assert good.get_status() == "finished"
    assert redis_connection.keys("rq:queue:q*") == []
    states = {about: redis_connection.hget(key, "status") for key, about in jobs.items()}
    assert {about: state for about, state in states.items() if state not in (b"finished", b"failed")} == {}
    ended = sum(
        number
        for (_, _, outcome), number in ledger.read(redis_connection).outcomes.items()
        if outcome in ("succeeded", "failed")
    )
    assert ended == len(jobs) + 1
    assert redis_connection.hgetall(ledger.RUNNING) == {}


@pytest.mark.parametrize("field", ["retries_left", "status", "created_at", "timeout"])
def test_maintenance_copes_with_a_field_that_cannot_be_read(field, redis_connection):
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(pid)
    redis_connection.hset(job.key, field, "x")
    redis_connection.lmove(queue.key, queue.intermediate_queue_key)
    key = queue.intermediate_queue.get_first_seen_key(job.id)
    redis_connection.set(key, 1)  # long ago
    InProcessWorker([queue], connection=redis_connection).work(burst=True)
    assert redis_connection.hget(job.key, "status") == b"failed"
    assert redis_connection.llen(queue.intermediate_queue_key) == 0
