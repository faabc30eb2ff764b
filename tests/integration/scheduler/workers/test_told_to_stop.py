"""A worker that is told to stop ends, whatever it waits for."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.servers import kill_with_children, wait_for


@pytest.mark.parametrize("queues", ["'q'", "'q', 'r'"])
def test_told_to_stop_twice_while_redis_hangs_a_worker_ends(server, queues):
    code = f"from scheduler import Scheduler; Scheduler().work({queues})"
    worker = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "RQ_REDIS_URL": server.url})
    try:
        # It waits for each queue on its own connection; its first poll of a single queue is shorter.
        waiting = queues.count(",") + 1

        def blocked():
            clients = server.connection.client_list()
            return [client for client in clients if "b" in client["flags"] and int(client["idle"]) >= 1]

        wait_for(lambda: len(blocked()) == waiting)
        server.valkey._process.send_signal(signal.SIGSTOP)
        worker.terminate()
        began = time.monotonic()
        # For two seconds it tries to end its waits, then for half a minute to sign off.
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
