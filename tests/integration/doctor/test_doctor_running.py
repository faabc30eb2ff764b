"""Workers that are ill, and jobs that failed or got lost, as the doctor names them."""

import signal
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from rq import Queue, Worker
from rq.utils import utcformat

from rqmon.doctor.finding import Severity
from scheduler.workers.strategies import InProcessWorker
from tests.doctor import findings, found, is_found
from tests.jobs import fail, kill_horse, pid, refuse, run_until
from tests.processes.worker_process import process, worker
from tests.servers import wait_for


@pytest.fixture
def queue(redis_connection):
    return Queue("q", connection=redis_connection)


def test_a_worker_that_was_stopped(redis_connection, rq_redis_url):
    with worker(redis_connection, rq_redis_url) as ill:
        ill.send_signal(signal.SIGSTOP)
        wait_for(lambda: psutil.Process(ill.pid).status() == "stopped")
        it = found(redis_connection, "Worker ill of q has sent no heartbeat for", later=70)
        assert it.severity == Severity.BROKEN
        assert (it.cause.startswith("It was stopped (SIGSTOP)"), it.command) == (
            True,
            f"kill -CONT {ill.pid}",
        )
        assert not is_found(redis_connection, "heartbeat")  # not yet


def test_a_plain_worker_may_be_silent_for_minutes(redis_connection, rq_redis_url):
    with worker(redis_connection, rq_redis_url, worker_class="rq.Worker"):
        assert not is_found(redis_connection, "heartbeat", later=400)
        assert is_found(redis_connection, "heartbeat", later=460)


def test_workers_that_are_all_dead(redis_connection, rq_redis_url):
    with worker(redis_connection, rq_redis_url) as ill:
        assert not is_found(redis_connection, "All registered workers are dead")
        ill.kill()
        ill.wait()
        it = found(redis_connection, "All registered workers are dead: ill.", later=70)
        assert (it.severity, it.command[-1]) == (Severity.BROKEN, "q")
        assert not is_found(redis_connection, "Worker ill of q", later=70)  # it is said once
        Worker(["q"], connection=redis_connection, name="lives").register_birth()
        it = found(redis_connection, "Worker ill of q", later=70)
        assert (it.severity, it.cause.startswith("It was killed")) == (Severity.WARNING, True)


def test_a_job_that_outruns_its_timeout(redis_connection, rq_redis_url, queue):
    with worker(redis_connection, rq_redis_url, worker_class="rq.Worker") as ill:
        job = queue.enqueue(run_until, "never", job_timeout=60)
        wait_for(lambda: redis_connection.llen("running") == 1, what="the job runs")
        ill.send_signal(signal.SIGSTOP)
        assert not is_found(redis_connection, "longer than its timeout", later=100)
        it = found(redis_connection, f"Job {job.id} has run", later=200)
        assert (it.severity, it.command) == (Severity.BROKEN, f".venv/bin/rqmon why {job.id}")


def test_jobs_whose_worker_died(redis_connection, rq_redis_url, queue):
    queue.enqueue(pid)
    options = ["--url", rq_redis_url, "--worker-class", "tests.jobs.DiesBeforeItsHorse"]
    with process("-m", "rq.cli", "worker", *options, "q") as ill:
        ill.wait(60)
    it = found(redis_connection, "1 job counts as running in q without a live worker.", later=120)
    assert it.severity == Severity.WARNING


def test_a_job_that_is_nowhere(redis_connection, queue):
    job = queue.enqueue(pid)
    redis_connection.lrem(queue.key, 1, job.id)
    redis_connection.hset(job.key, "enqueued_at", utcformat(datetime.now(UTC) - timedelta(minutes=2)))
    # The sample is random.
    wait_for(lambda: is_found(redis_connection, "1 of 1 job looked at are nowhere in RQ."))


def test_failed_jobs_by_exception_the_most_frequent_first(redis_connection, rq_redis_url, queue):
    newest = [queue.enqueue(fail) for _ in range(3)]
    queue.enqueue(refuse)
    with worker(redis_connection, rq_redis_url):
        queue.enqueue(kill_horse)
        wait_for(lambda: queue.failed_job_registry.get_job_count(cleanup=False) == 5, what="all have failed")
    said = [it for it in findings(redis_connection) if "failed job" in it.fact]
    assert said[0].fact == "3 failed jobs: ValueError, in q."
    assert {it.fact for it in said[1:]} == {
        "1 failed job: TooManyRequests, in q.",
        "1 failed job: killed with its process, in q.",
    }
    assert said[0].command.removeprefix(".venv/bin/rqmon why ") in {job.id for job in newest}
    assert "rq requeue" in said[0].cause


def test_an_exception_that_nobody_can_read_costs_itself_alone(redis_connection, queue):
    odd, good = queue.enqueue(fail), queue.enqueue(fail)
    InProcessWorker([queue], connection=redis_connection).work(burst=True)
    redis_connection.delete(f"rq:results:{odd.id}")
    redis_connection.xadd(f"rq:results:{odd.id}", {"exc_string": "\x1b[31m no base64"})
    redis_connection.hdel(odd.key, "exc_info")
    said = {it.fact for it in findings(redis_connection) if "failed job" in it.fact}
    assert said == {
        "1 failed job: ValueError, in q.",
        "1 failed job: for reasons that RQ did not keep, in q.",
    }
    assert good.get_status() == "failed"
