"""The pool strategy: as many workers as processors, replaced when they die, recording like any other."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from rq import Queue, Worker

from scheduler.ledger import jobs as ledger
from tests.jobs import pid
from tests.servers import wait_for

PROCESSORS = len(os.sched_getaffinity(0))


@pytest.fixture
def pool(rq_redis_url):
    code = "from scheduler import Scheduler; Scheduler('pool').work('q')"
    environment = {**os.environ, "RQ_REDIS_URL": rq_redis_url}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    yield process
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait(10)


def test_a_pool_runs_jobs_replaces_a_killed_worker_and_ends_with_all_its_workers(pool, redis_connection):
    def live():
        return {worker.pid for worker in Worker.all(redis_connection)}

    wait_for(lambda: len(live()) == PROCESSORS)
    killed = live().pop()
    # Its scheduler would outlive it and hold its socket open: Redis could yet give that a job, which waits
    # in the intermediate queue until a worker's next clean-up.
    for process in (*psutil.Process(killed).children(), psutil.Process(killed)):
        process.kill()
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
