"""What a worker and its horse do while Redis is away or refuses, and how the worker ends."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from rq import Queue, Retry
from rq.job import JobStatus

from scheduler.ledger import jobs as ledger
from tests.jobs import pid, run_until
from tests.servers import wait_for


def is_idle(server):
    states = [server.connection.hget(key, "state") for key in server.connection.smembers("rq:workers")]
    return states == [b"idle"]


def finished(job):
    return job.get_status(refresh=True) == "finished"


def horse_of(server):
    wait_for(lambda: server.connection.exists("running"))
    return psutil.Process(int(server.connection.lindex("running", -1)))


def has_ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_job_goes_on_while_redis_is_away_and_runs_once(server, start, q):
    job = q.enqueue(run_until, "go", retry=Retry(max=1))
    worker = start()
    horse = horse_of(server)
    server.stop()
    wait_for(lambda: worker.said().count("its job goes on") >= 2)
    server.start()
    assert server.connection.llen("running") == 1
    server.connection.set("go", 1)
    wait_for(lambda: finished(job))
    wait_for(lambda: has_ended(horse))
    again = q.enqueue(pid)
    wait_for(lambda: finished(again))
    assert server.connection.llen("running") == 1
    assert worker.poll() is None
    assert ledger.read(server.connection).outcomes == {
        ("q", "tests.jobs.run_until", "succeeded"): 1,
        ("q", "tests.jobs.pid", "succeeded"): 1,
    }


def test_a_worker_outlives_its_horse_while_redis_is_away(server, start, q):
    worker = start()
    job = q.enqueue(run_until, "go")
    horse = horse_of(server)
    server.stop()
    wait_for(lambda: "its job goes on" in worker.said())
    horse.kill()
    wait_for(lambda: "could not connect" in worker.said().rsplit("its job goes on", 1)[-1])
    server.start()
    wait_for(lambda: job.get_status(refresh=True) == JobStatus.FAILED)
    assert worker.poll() is None
    assert ledger.read(server.connection).outcomes == {("q", "tests.jobs.run_until", "abandoned"): 1}


def test_a_job_that_others_gave_up_meanwhile_ends_here(server, start, q):
    job = q.enqueue(run_until, "go", retry=Retry(max=1))
    # As if it had sent no heartbeat for longer than others wait.
    worker = start(patch="horses._GRACE_SECONDS = -100")
    horse = horse_of(server)
    server.connection.hset(job.key, "status", "queued")
    wait_for(lambda: has_ended(horse))
    wait_for(lambda: is_idle(server))
    assert worker.poll() is None
    # This worker may no longer fail or retry it.
    assert job.get_status(refresh=True) == "queued"
    assert not ledger.read(server.connection).horses_killed


def test_whatever_ends_a_worker_ends_its_horse(server, start, q):
    q.enqueue(run_until, "go")
    worker = start("tests.jobs.BreaksBesideItsHorse")
    horse = horse_of(server)
    server.connection.set("break", 1)
    assert worker.wait(20) == 1
    assert has_ended(horse)
    assert "spanner in the works" in worker.said()


def test_told_to_stop_while_redis_is_away_a_worker_waits_for_its_job(server, start, q):
    job = q.enqueue(run_until, "go")
    worker = start()
    horse = horse_of(server)
    server.stop()
    worker.terminate()
    wait_for(lambda: "it stops after its job" in worker.said())
    server.start()
    assert not has_ended(horse)
    server.connection.set("go", 1)
    assert worker.wait(30) == 0
    assert finished(job)


REFUSALS = {
    "READONLY": (
        lambda redis: redis.replicaof("127.0.0.1", 1),
        lambda redis: redis.replicaof("NO", "ONE"),
    ),
    "OOM": (
        lambda redis: redis.config_set("maxmemory", 1),
        lambda redis: redis.config_set("maxmemory", 0),
    ),
    "NOPERM": (
        lambda redis: redis.execute_command("ACL", "SETUSER", "w", "-zadd", "-hset"),
        lambda redis: redis.execute_command("ACL", "SETUSER", "w", "+zadd", "+hset"),
    ),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_an_idle_worker_waits_for_a_redis_that_refuses(server, start, q, code):
    refuse, take_back = REFUSALS[code]
    worker = start(url=server.url.replace("redis://", "redis://w:pw@"))
    wait_for(lambda: is_idle(server))
    taken = q.enqueue(pid) if code == "NOPERM" else None  # told only when it begins the job
    refuse(server.connection)
    wait_for(lambda: "Redis refuses (" in worker.said() or (taken and finished(taken)))
    take_back(server.connection)
    after = q.enqueue(pid)
    wait_for(lambda: finished(after) and (taken is None or finished(taken)))
    assert worker.poll() is None


@pytest.mark.parametrize("code", ["READONLY", "OOM"])
def test_a_worker_that_redis_refuses_for_good_ends_with_an_error(server, start, code):
    worker = start(
        patch="resilience._REFUSED_SECONDS = 2.0", url=server.url.replace("redis://", "redis://w:pw@")
    )
    wait_for(lambda: is_idle(server))
    REFUSALS[code][0](server.connection)
    assert worker.wait(60) == 2
    assert "w: Redis refuses (" in worker.said().splitlines()[-1]


@pytest.mark.parametrize("told_to_stop", [False, True])
def test_a_worker_that_may_not_begin_a_job_ends_soon(server, start, q, told_to_stop):
    """Within half a minute, and before a supervisor kills it."""
    patch = (
        ""
        if told_to_stop
        else "from scheduler.workers import recording\nrecording.START_PATIENCE_SECONDS = 2.0"
    )
    worker = start(patch=patch, url=server.url.replace("redis://", "redis://w:pw@"))
    wait_for(lambda: is_idle(server))
    server.connection.execute_command("ACL", "SETUSER", "w", "-zadd")
    job = q.enqueue(pid)
    wait_for(lambda: "not written, trying again" in worker.said())
    if told_to_stop:
        worker.terminate()
    assert worker.wait(25) == 2
    assert "NOPERM" in worker.said().splitlines()[-1]
    assert q.intermediate_queue.get_job_ids() == [job.id]


def test_rq_s_command_line_ends_with_an_error_too(server):
    command = [
        str(Path(sys.executable).parent / "rq"),
        "worker",
        "--url",
        server.url.replace("redis://", "redis://w:pw@"),
    ]
    worker = subprocess.Popen([*command, "--worker-class", "tests.jobs.BreaksBesideItsHorse", "q"])
    wait_for(lambda: is_idle(server))
    Queue("q", connection=server.connection).enqueue(run_until, "go")
    horse = horse_of(server)
    server.connection.set("break", 1)
    assert worker.wait(20) not in (0, -signal.SIGKILL)
    assert has_ended(horse)


def test_a_worker_that_is_told_to_stop_ends_without_an_error(server, start):
    worker = start()
    wait_for(lambda: is_idle(server))
    worker.terminate()
    assert worker.wait(20) == 0
    worker = start()
    wait_for(lambda: is_idle(server))
    server.stop()
    wait_for(lambda: "could not connect" in worker.said())
    worker.terminate()
    assert worker.wait(30) == 0


def test_a_job_that_ends_while_redis_refuses_is_failed_once_it_no_longer_does(server, start, q):
    job = q.enqueue(run_until, "go")
    worker = start()
    horse = horse_of(server)
    server.connection.config_set("maxmemory", 1)
    horse.kill()
    wait_for(lambda: "Redis refuses (OOM)" in worker.said())
    server.connection.config_set("maxmemory", 0)
    wait_for(lambda: job.get_status(refresh=True) == "failed")
    assert ledger.read(server.connection).outcomes == {("q", "tests.jobs.run_until", "abandoned"): 1}
    after = q.enqueue(pid)
    wait_for(lambda: finished(after))
    assert worker.poll() is None
