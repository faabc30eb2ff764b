"""Executions whose worker died: each is given up alone, soon, and once."""

import subprocess
import sys
import threading
from collections import Counter

import pytest
from rq import Callback, Queue, Retry
from rq.exceptions import StopRequested
from rq.executions import Execution

from scheduler.ledger import jobs as ledger
from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests import jobs
from tests.jobs import pid

LOCK = "rq:clean_registries:q"


@pytest.fixture
def queue(redis_connection):
    return Queue("q", connection=redis_connection)


def die_with(connection, queue, **options):
    """A job whose worker died a minute and a half ago while running it."""
    job = queue.enqueue(pid, **options)
    worker = RecordingWorker([queue], connection=connection)
    queue.pop_job_id()
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    [execution] = job.get_executions()
    connection.zadd("rq:wip:q", {execution.composite_key: 1})
    connection.delete(execution.key)
    return job


def clean(connection, queue, **options):
    worker = InProcessWorker([queue], connection=connection, **options)
    worker.clean_registries()
    return worker


def outcomes(connection):
    counted = Counter()
    for (_, _, outcome), number in ledger.read(connection).outcomes.items():
        counted[outcome] += number
    return counted


@pytest.mark.parametrize("callback", ["raise_in_callback", "exit_in_callback", "no_such_callback"])
def test_a_failing_callback_costs_the_others_nothing(redis_connection, queue, callback):
    options = [{}, {"on_failure": Callback(f"tests.jobs.{callback}")}, {}]
    dead = [die_with(redis_connection, queue, **option) for option in options]
    clean(redis_connection, queue)
    assert [job.get_status() for job in dead] == ["failed"] * 3
    assert outcomes(redis_connection) == {"abandoned": 3}
    assert ledger.read(redis_connection).failures == {("q", "rq.exceptions.AbandonedJobError"): 3}
    assert not redis_connection.exists(LOCK, "rq:wip:q", ledger.RUNNING)


def test_a_failing_handler_costs_the_others_nothing(redis_connection, queue):
    def fails(*_args):
        raise SystemExit

    dead = [die_with(redis_connection, queue) for _ in range(2)]
    clean(redis_connection, queue, exception_handlers=[fails])
    assert [job.get_status() for job in dead] == ["failed"] * 2


def test_a_callback_that_ends_its_worker_does_so_once(rq_redis_url, redis_connection, queue):
    options = [{}, {"on_failure": Callback(jobs.end_process_in_callback)}, {}]
    dead = [die_with(redis_connection, queue, **option) for option in options]
    rq = [sys.executable, "-m", "rq.cli", "worker", "--url", rq_redis_url, "--burst"]
    for status in (7, 0):
        ended = subprocess.run(
            [*rq, "--worker-class", "scheduler.workers.RecordingWorker", "q"],
            check=False,
            timeout=30,
            capture_output=True,
        )
        assert ended.returncode == status
        assert 0 < redis_connection.ttl(LOCK) <= 60 if status else not redis_connection.exists(LOCK)
        redis_connection.delete(LOCK)  # a minute later
    assert [job.get_status() for job in dead] == ["failed"] * 3
    assert outcomes(redis_connection) == {"abandoned": 3}


def test_a_worker_that_is_told_to_stop_gives_the_lock_back_and_runs_the_callback_next_time(
    redis_connection, queue
):
    job = die_with(redis_connection, queue, on_failure=Callback(jobs.stop_in_callback))
    with pytest.raises(StopRequested):
        clean(redis_connection, queue)
    assert not redis_connection.exists(LOCK)
    assert job.get_status() == "started"
    with pytest.raises(StopRequested):
        clean(redis_connection, queue)


def test_a_lock_that_somebody_else_took_meanwhile_stays(redis_connection, queue):
    die_with(redis_connection, queue, on_failure=Callback(jobs.take_lock_in_callback))
    clean(redis_connection, queue)
    assert redis_connection.get(LOCK) == b"somebody else"


def test_a_job_that_cant_be_read_costs_the_others_nothing(redis_connection, queue):
    broken, dead = die_with(redis_connection, queue), die_with(redis_connection, queue)
    redis_connection.hset(broken.key, "created_at", "junk")
    clean(redis_connection, queue)
    assert dead.get_status() == "failed"
    assert outcomes(redis_connection) == {"abandoned": 2}
    assert not redis_connection.exists("rq:wip:q")


def test_what_was_lost_between_queue_and_start_costs_the_others_nothing(redis_connection, queue):
    lost = [queue.enqueue(pid) for _ in range(2)]
    for job in lost:
        redis_connection.lmove(queue.key, queue.intermediate_queue_key, "LEFT", "RIGHT")
        redis_connection.set(f"rq:queue:q:intermediate:first_seen:{job.id}", 1)
    redis_connection.hset(lost[0].key, "created_at", "junk")
    clean(redis_connection, queue)
    assert lost[1].get_status() == "failed"
    assert not redis_connection.exists(LOCK)


@pytest.mark.parametrize(("interval", "status"), [(0, "queued"), (60, "scheduled")])
def test_one_with_retries_left_runs_again(redis_connection, queue, interval, status):
    job = die_with(redis_connection, queue, retry=Retry(max=1, interval=interval))
    clean(redis_connection, queue)
    assert job.get_status() == status
    assert len(queue) + len(queue.scheduled_job_registry) == 1
    assert ledger.read(redis_connection).retries == {"q": 1}
    clean(redis_connection, queue)
    assert len(queue) + len(queue.scheduled_job_registry) == 1


def test_a_dependent_that_allows_it_runs_when_its_parent_is_given_up(redis_connection, queue):
    job = die_with(redis_connection, queue)
    queue.enqueue(pid, depends_on=jobs.allowing_failure(job))
    clean(redis_connection, queue)
    assert len(queue) == 1


@pytest.mark.parametrize("status", ["finished", "failed", "canceled"])
def test_what_is_left_of_an_execution_that_ended_is_taken_away(redis_connection, queue, status):
    """RQ leaves an entry if dependents are added while a job ends; it would fail the job or rerun it."""
    job = die_with(redis_connection, queue, retry=Retry(max=1))
    redis_connection.delete(ledger.RUNNING)
    redis_connection.hset(job.key, "status", status)
    clean(redis_connection, queue)
    assert (job.get_status(), len(queue), outcomes(redis_connection)) == (status, 0, {})
    assert not redis_connection.exists("rq:wip:q")


def test_what_is_left_of_an_earlier_execution_does_not_fail_the_one_that_runs(redis_connection, queue):
    job = die_with(redis_connection, queue)
    worker = RecordingWorker([queue], connection=redis_connection)
    running = worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    clean(redis_connection, queue)
    assert job.get_status() == "started"
    assert redis_connection.zrange("rq:wip:q", 0, -1) == [running.composite_key.encode()]
    assert outcomes(redis_connection) == {"abandoned": 1}


def test_a_worker_that_lives_after_all_keeps_its_job(redis_connection, queue):
    job = die_with(redis_connection, queue, on_failure=Callback(jobs.heartbeat_in_callback))
    clean(redis_connection, queue)
    assert job.get_status() == "started"
    assert redis_connection.hlen(ledger.RUNNING) == 1


def test_a_job_of_rqs_own_worker_is_failed_too(redis_connection, queue):
    job = queue.enqueue(pid)
    queue.pop_job_id()
    job.set_status("started")
    with redis_connection.pipeline() as pipe:
        execution = Execution.create(job, 60, pipeline=pipe)
        pipe.zadd("rq:wip:q", {execution.composite_key: 1})
        pipe.execute()
    clean(redis_connection, queue)
    assert job.get_status() == "failed"


def test_several_workers_give_up_each_once(redis_connection, queue):
    dead = [die_with(redis_connection, queue, retry=Retry(max=1)) for _ in range(20)]

    def without_lock():
        for _ in range(20):
            redis_connection.delete(LOCK)
            clean(redis_connection, queue)

    cleaners = [threading.Thread(target=without_lock) for _ in range(3)]
    for cleaner in cleaners:
        cleaner.start()
    for cleaner in cleaners:
        cleaner.join()
    assert sorted(queue.get_job_ids()) == sorted(job.id for job in dead)
    assert outcomes(redis_connection) == {"abandoned": 20}


def test_a_process_that_dies_as_it_schedules_a_retry_loses_nothing(redis_connection, queue):
    """RQ writes the status "scheduled" before the transaction that schedules the job."""
    statuses = []
    job = queue.enqueue(jobs.fail, retry=Retry(max=1, interval=60))

    class Watches(InProcessWorker):
        def cleanup_execution(self, job, pipeline, **execution):
            super().cleanup_execution(job, pipeline, **execution)
            execute = pipeline.execute

            def last_look(**options):
                statuses.append(redis_connection.hget(job.key, "status"))
                return execute(**options)

            pipeline.execute = last_look

    Watches([queue], connection=redis_connection).work(burst=True)
    assert statuses == [b"started"]
    assert job.get_status() == "scheduled"
