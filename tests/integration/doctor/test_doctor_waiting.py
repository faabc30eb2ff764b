"""Jobs that wait in vain, as the doctor names them."""

import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from rq import Queue, Worker
from rq.job import Dependency
from rq.scheduler import RQScheduler
from rq.suspension import resume, suspend

from rqmon.doctor import gathering
from rqmon.doctor.examine import examine
from rqmon.doctor.finding import Severity
from scheduler import SHORT_RUNNING_QUEUE, RateLimit, TooManyRequests
from scheduler.workers.strategies import InProcessWorker
from tests.doctor import found, is_found
from tests.jobs import fail, pid
from tests.processes.worker_process import process, worker
from tests.servers import wait_for


@pytest.fixture
def queue(redis_connection):
    return Queue("q", connection=redis_connection)


def test_jobs_to_which_nobody_listens(redis_connection, queue):
    queue.enqueue(pid)
    queue.enqueue(pid)
    other = Queue("its name; rm -rf ~", connection=redis_connection)
    other.enqueue(pid)
    it = found(redis_connection, "No worker listens to q and its name; rm -rf ~: 3 jobs wait.")
    assert (it.severity, it.cause) == (Severity.BROKEN, "No worker is registered for them.")
    Worker([queue, other], connection=redis_connection, name="died").register_birth()
    redis_connection.delete("rq:worker:died")
    assert found(redis_connection, "No worker listens").cause == "All that listened to 2 of them died."
    assert it.command == ".venv/bin/rqmon worker q 'its name; rm -rf ~'"


def test_the_stack_s_own_queues_need_the_stack_and_others_a_worker(redis_connection):
    for name in (SHORT_RUNNING_QUEUE, "mails"):
        Queue(name, connection=redis_connection).enqueue(pid)
    facts = replace(gathering.take(redis_connection, serializer="pickle"), has_stack=True)
    [it] = [it for it in examine(facts, now=facts.snapshot.taken_at) if "No worker listens" in it.fact]
    assert it.command == "make start-rq-mon; .venv/bin/rqmon worker mails"


def test_a_live_worker_is_all_they_need(redis_connection, rq_redis_url, queue):
    with worker(redis_connection, rq_redis_url):
        suspend(redis_connection)
        queue.enqueue(pid)
        assert not is_found(redis_connection, "No worker listens")


def test_a_worker_that_was_killed_listens_no_more(redis_connection, rq_redis_url, queue):
    with worker(redis_connection, rq_redis_url) as ill:
        ill.kill()
        ill.wait()
        queue.enqueue(pid)
        it = found(redis_connection, "No worker listens to q: 1 job waits.", later=70)
        assert it.cause == "All that listen to it send no heartbeats."
        redis_connection.delete("rq:worker:ill")  # as Redis does when the key's time is up
        assert found(redis_connection, "No worker listens to q").cause == "All that listened to it died."


def test_suspended_workers(redis_connection, queue):
    queue.enqueue(pid)
    suspend(redis_connection)
    it = found(redis_connection, "All workers are suspended; jobs that wait: 1.")
    assert (it.severity, it.command) == (Severity.BROKEN, ".venv/bin/rq resume")
    resume(redis_connection)
    assert not is_found(redis_connection, "suspended")


def test_idle_workers_that_take_nothing(redis_connection, rq_redis_url, queue):
    with worker(redis_connection, rq_redis_url, "--worker-ttl", "400") as ill:
        ill.send_signal(signal.SIGSTOP)
        wait_for(lambda: psutil.Process(ill.pid).status() == "stopped")
        queue.enqueue(pid)  # Redis may give it to the process, which does not know
        queue.enqueue(pid)
        it = found(redis_connection, "A job of q has waited for 65 s, and its workers are idle.", later=65)
        assert (it.severity, it.command) == (Severity.BROKEN, f"kill -CONT {ill.pid}")
        assert it.cause.startswith("They are blocked: ill. It was stopped (SIGSTOP)")


def test_a_job_between_its_queue_and_a_worker_that_died(redis_connection, rq_redis_url, queue):
    job = queue.enqueue(pid)
    options = ["--url", rq_redis_url, "--worker-class", "tests.jobs.DiesAsItTakes"]
    with process("-m", "rq.cli", "worker", *options, "q") as ill:
        ill.wait(60)
    it = found(redis_connection, f"Between q and a worker hangs 1 job: {job.id}.")
    assert it.severity == Severity.BROKEN


def test_scheduled_jobs_without_a_scheduler(redis_connection, queue):
    job = queue.enqueue_in(timedelta(hours=1), pid)
    it = found(redis_connection, "No scheduler runs for q: 1 scheduled job, 0 overdue.")
    assert (it.severity, it.command) == (Severity.WARNING, ".venv/bin/rqmon worker q")
    job.delete()
    queue.enqueue_at(datetime.now(UTC) - timedelta(seconds=90), pid)
    it = found(redis_connection, "No scheduler runs for q: 1 scheduled job, 1 overdue.")
    assert it.severity == Severity.BROKEN


def test_scheduled_jobs_whose_scheduler_hangs(redis_connection, queue):
    queue.enqueue_at(datetime.now(UTC) - timedelta(seconds=90), pid)
    RQScheduler(["q"], connection=redis_connection).acquire_locks()
    it = found(redis_connection, "1 scheduled job of q should be queued, late by up to 9")
    assert it.severity == Severity.BROKEN
    assert not is_found(redis_connection, "No scheduler runs")


def test_a_deferred_job_whose_dependency_failed(redis_connection, queue):
    parent = queue.enqueue(fail)
    InProcessWorker([queue], connection=redis_connection).work(burst=True)
    child = queue.enqueue(pid, depends_on=parent)
    it = found(redis_connection, "1 deferred job will not be queued.")
    assert it.cause.startswith(f"Job {child.id} of q waits for {parent.id}, which is failed.")
    assert it.command == f".venv/bin/rqmon why {parent.id}"


def test_a_deferred_job_with_nothing_left_to_wait_for(redis_connection, queue):
    parent = queue.enqueue(pid)
    child = queue.enqueue(pid, depends_on=parent)
    parent.delete()
    it = found(redis_connection, "1 deferred job will not be queued.")
    assert it.cause.startswith(f"Job {child.id} of q waits for nothing any more")
    assert it.command == f".venv/bin/rqmon why {child.id}"


def test_a_deferred_job_that_waits_rightly(redis_connection, queue):
    failed = queue.enqueue(fail)
    InProcessWorker([queue], connection=redis_connection).work(burst=True)
    gone, there = queue.enqueue(pid), queue.enqueue(pid)
    queue.enqueue(pid, depends_on=[gone, there])
    queue.enqueue(pid, depends_on=Dependency([failed, there], allow_failure=True))
    gone.delete()
    assert not is_found(redis_connection, "deferred")


def test_a_rate_limit_that_is_used_up(redis_connection):
    limit = RateLimit("companies-house", "importer", 2, 300, connection=redis_connection)
    for _ in range(2):
        limit.increment_usage()
    assert not is_found(redis_connection, "rate limit")  # it is full, and refuses nobody
    for _ in range(3):
        with pytest.raises(TooManyRequests):
            limit.increment_usage()
    it = found(
        redis_connection, "The rate limit of companies-house for importer is used up: 2 of 2 in 5 min."
    )
    assert "3 refused, 2 admitted" in it.cause


def test_a_job_with_a_live_worker_is_no_finding(redis_connection, rq_redis_url, queue):
    with worker(redis_connection, rq_redis_url, "--with-scheduler"):
        job = queue.enqueue_in(timedelta(hours=1), pid)
        wait_for(lambda: not is_found(redis_connection, "q"), what="nothing about q is found")
        assert job.get_status() == "scheduled"
