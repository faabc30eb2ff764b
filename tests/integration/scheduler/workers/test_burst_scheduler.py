"""RQ's scheduler of a worker: none in burst mode, and one that missed the signal to stop is ended."""

import contextlib
import os
import subprocess
import sys
import time
from datetime import timedelta

import psutil
import pytest
from rq import Queue
from rq.scheduler import RQScheduler

from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests.jobs import pid
from tests.servers import kill_with_children, wait_for

# A library may do this in each child: errors raised by a signal meanwhile are ignored.
SLOW_FORK = "import os, time; os.register_at_fork(after_in_child=lambda: time.sleep(0.3)); "
COMMAND = "import sys; from rq.cli import main; sys.argv[0] = 'rq'; main()"


@pytest.mark.parametrize("queued", [0, 2])
@pytest.mark.parametrize("command", [("worker", "--with-scheduler"), ("worker-pool", "-n", "2")])
def test_in_burst_mode_rq_s_commands_end(redis_connection, rq_redis_url, command, queued):
    jobs = [Queue("q", connection=redis_connection).enqueue(pid) for _ in range(queued)]
    options = ("--burst", "--url", rq_redis_url, "--worker-class", "scheduler.RecordingWorker", "q")
    process = subprocess.Popen([sys.executable, "-c", SLOW_FORK + COMMAND, *command, *options])
    try:
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            kill_with_children(process.pid)
            process.wait()
    assert all(job.get_status(refresh=True) == "finished" for job in jobs)


@pytest.mark.parametrize("worker_class", [RecordingWorker, InProcessWorker])
def test_in_burst_mode_what_is_due_is_queued_and_no_process_started(redis_connection, worker_class):
    queue = Queue("q", connection=redis_connection)
    due = queue.enqueue_in(timedelta(seconds=-5), pid)
    worker = worker_class(["q"], connection=redis_connection, maintenance_interval=0)
    worker.work(burst=True, with_scheduler=True)
    assert due.get_status(refresh=True) == "finished"
    assert worker.scheduler._process is None


@pytest.mark.parametrize("strategy", ["fork", "pool"])
@pytest.mark.parametrize("after_seconds", [0.0, 0.2, 0.5])
def test_told_to_stop_before_it_is_ready_a_worker_ends_with_all_its_children(
    rq_redis_url, strategy, after_seconds
):
    code = f"from scheduler import Scheduler; Scheduler({strategy!r}).work('q', with_scheduler=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_FORK + code],
        env={**os.environ, "RQ_REDIS_URL": rq_redis_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    worker = psutil.Process(process.pid)
    wait_for(lambda: bool(worker.children()))  # the first is being forked
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began >= after_seconds)
    children = worker.children(recursive=True)
    try:
        process.terminate()
        assert process.wait(20) == 0
        wait_for(lambda: not any(child.is_running() for child in children))
    finally:
        for left in (process, *children):
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
        process.wait()


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended; nobody may wait for a process whose parent was killed."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("strategy", ["fork", "pool"])
def test_the_scheduler_of_a_killed_worker_leaves_and_gives_up_its_lock(
    redis_connection, rq_redis_url, strategy
):
    code = f"from scheduler import Scheduler; Scheduler({strategy!r}).work('q', with_scheduler=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "RQ_REDIS_URL": rq_redis_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    lock = RQScheduler.get_locking_key("q")
    started = psutil.Process(process.pid)

    def workers() -> list[psutil.Process]:
        return started.children() if strategy == "pool" else [started]

    children = []
    try:
        wait_for(
            lambda: redis_connection.exists(lock) and any(it.children() for it in workers()),
            what="a worker has a scheduler",
        )
        children = started.children(recursive=True)
        for victim in (started, *workers()):  # the pool first: it would start other workers
            victim.kill()
        process.wait()
        wait_for(lambda: not any(runs(child) for child in children))
        assert not redis_connection.exists(lock)
    finally:
        if process.poll() is None:
            kill_with_children(process.pid)
            process.wait()
        for left in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()


def test_a_live_worker_still_revives_its_scheduler(redis_connection):
    worker = RecordingWorker(["q"], connection=redis_connection)
    worker.register_birth()
    worker._start_scheduler()
    try:
        first = worker.scheduler._process
        first.kill()
        first.join()
        worker._check_due = 0.0
        worker.heartbeat()
        assert worker.scheduler._process.pid != first.pid
        assert worker.scheduler._process.is_alive()
    finally:
        worker.stop_scheduler()
    assert not worker.scheduler._process.is_alive()
