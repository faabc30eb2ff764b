"""Jobs that write down in advance how they will end, to be compared with the ledger."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from rq import get_current_job

from scheduler import TooManyRequests


def _write(outcome):
    job = get_current_job()
    line = json.dumps([job.origin, f"{__name__}.{sys._getframe(1).f_code.co_name}", outcome]) + "\n"
    with Path(os.environ["TRUTH_FILE"]).open("a") as file:
        file.write(line)
    return job


def succeed():
    _write("succeeded")


def forget():
    _write("succeeded")


def fail():
    _write("failed")
    raise ValueError("on purpose")


def retry():
    job = get_current_job()
    _write("retried" if job.retries_left else "failed")
    raise KeyError("on purpose")


def refuse():
    _write("rate_limited")
    raise TooManyRequests


def time_out():
    _write("failed")
    time.sleep(30)


def die():
    _write("abandoned")
    os.kill(os.getpid(), signal.SIGKILL)


def die_with_worker():
    job = _write("abandoned")
    job.connection.sadd("truth:dead", job.id)
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def stop():
    job = _write("stopped")
    job.connection.rpush("truth:to-stop", job.id)
    time.sleep(120)
