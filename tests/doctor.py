"""What the doctor finds on a real server, and real processes that its tests make ill."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from rqmon.doctor import gathering
from rqmon.doctor.examine import examine
from tests.servers import kill_with_children, wait_for

ROOT = Path(__file__).parents[1]


def findings(connection, *, later=0.0, serializer="pickle"):
    """What is found now, and judged so many seconds later: as long as nothing happens meanwhile."""
    facts = gathering.take(connection, serializer=serializer)
    return examine(facts, now=facts.snapshot.taken_at + later)


def found(connection, text, **options):
    """The one finding whose fact has that text."""
    all_ = findings(connection, **options)
    matching = [it for it in all_ if text in it.fact]
    assert len(matching) == 1, "\n".join(it.fact for it in all_)
    return matching[0]


def is_found(connection, text, **options):
    return any(text in it.fact for it in findings(connection, **options))


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
        "--worker-ttl",
        "30",
        *options,
        "--",
        queue,
    ]
    with process("-m", "rq.cli", "worker", *arguments) as started:
        wait_for(lambda: connection.hget("rq:worker:ill", "state") == b"idle", what="the worker listens")
        yield started


def rqmon(*arguments, cwd=ROOT, **environment):
    """The command line, as a person uses it."""
    code = "from rqmon.cli.main import main; main(prog_name='rqmon')"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"COLUMNS": "80", **os.environ, "RQMON_ENV_FILE": "/nonexistent", **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
