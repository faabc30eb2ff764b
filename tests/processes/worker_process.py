"""Workers and other processes that tests make ill."""

import contextlib
import os
import signal
import subprocess
import sys

from tests import ROOT
from tests.servers import kill_with_children, wait_for


@contextlib.contextmanager
def process(*command, **environment):
    """A process that is killed with its children at the end, whatever became of it."""
    started = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "RQMON_ENV_FILE": "/nonexistent", **environment},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGCONT)
            kill_with_children(started.pid)
        started.wait()


@contextlib.contextmanager
def worker(connection, url, *options, queue="q", worker_class="scheduler.workers.RecordingWorker"):
    """An `rq worker` process that listens."""
    arguments = [
        "--url",
        url,
        "--worker-class",
        worker_class,
        "--name",
        "ill",
        *options,
        "--",
        queue,
    ]
    with process("-m", "rq.cli", "worker", *arguments) as started:
        wait_for(lambda: connection.hget("rq:worker:ill", "state") == b"idle", what="the worker listens")
        yield started
