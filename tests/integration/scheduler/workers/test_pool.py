"""The pool strategy: as many workers as processors, replaced when they die, recording like any other."""

import contextlib
import os
import signal
import subprocess
import sys

import psutil
import pytest
from rq import Queue, Worker

from scheduler.ledger import jobs as ledger
from tests.jobs import pid
from tests.servers import kill_with_children, wait_for

PROCESSORS = len(os.sched_getaffinity(0))


@pytest.fixture
def pool(rq_redis_url):
    code = "from scheduler import Scheduler; Scheduler('pool').work('q')"
    environment = {**os.environ, "RQ_REDIS_URL": rq_redis_url}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    yield process
    if process.poll() is None:
        kill_with_children(process.pid)
        process.wait(10)
    # RQ's scheduler may outlive a worker that was killed, and would write into the next tests' database.
    for left in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if left.cmdline()[-1:] == [code] and left.environ().get("RQ_REDIS_URL") == rq_redis_url:
                left.kill()


def test_a_pool_runs_jobs_replaces_a_killed_worker_and_ends_with_all_its_workers(pool, redis_connection):
    def live():
        return {worker.pid for worker in Worker.all(redis_connection)}

    wait_for(lambda: len(live()) == PROCESSORS)
    killed = live().pop()
    kill_with_children(killed)
    # The dead one stays registered until its heartbeat is too old.
    wait_for(lambda: len(live() - {killed}) == PROCESSORS)
    queue = Queue("q", connection=redis_connection)
    for _ in range(6):
        queue.enqueue(pid)
    wait_for(lambda: ledger.read(redis_connection).outcomes == {("q", "tests.jobs.pid", "succeeded"): 6})
    workers = live() - {killed}
    pool.send_signal(signal.SIGTERM)
    assert pool.wait(20) == 0
    assert not [worker for worker in workers if psutil.pid_exists(worker)]
