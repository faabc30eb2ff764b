"""Functions that tests give to workers: a worker, unlike a test, imports them by name."""

import asyncio
import functools
import logging
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from rq import Retry, get_current_job
from rq.exceptions import StopRequested
from rq.job import Dependency

from scheduler import SHORT_RUNNING_QUEUE, RecordingWorker, TooManyRequests, job_scheduler
from scheduler.workers.strategies import InProcessWorker


class Recorder:
    """Remembers the calls made in this process."""

    calls: ClassVar[list[tuple[tuple, dict]]] = []

    @staticmethod
    def record(*args, **kwargs):
        Recorder.calls.append((args, kwargs))

    def method(self):
        pass

    @classmethod
    def made(cls):
        pass


class Numbers(list):
    """JSON can store it, but as a list."""

    def method(self):
        pass


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)  # any process can import it


def echo(*args, **kwargs):
    return [args, kwargs]


def random_bytes(number):
    return os.urandom(number)


def a_datetime():
    return datetime.now(UTC)


def push(key, value):
    """Record a call in Redis, from whichever process runs the job."""
    get_current_job().connection.rpush(key, value)


def push_and_fail(key, value):
    push(key, value)
    raise ValueError("spanner in the works")


def succeed_at_last(key, failures):
    """Fail that many times; add an entry to the list in each run."""
    push(key, os.getpid())
    if get_current_job().connection.llen(key) <= failures:
        raise ValueError("spanner in the works")


def retry_itself(key):
    """Return a Retry once."""
    push(key, os.getpid())
    return Retry(max=2) if get_current_job().connection.llen(key) == 1 else None


def succeed_when(key, path):
    """End when there is a file at the path."""
    push(key, os.getpid())
    while not Path(path).exists():
        time.sleep(0.02)


class DiesBeforeItsHorse(RecordingWorker):
    def fork_work_horse(self, *_args):
        os.kill(os.getpid(), signal.SIGKILL)


class DiesAsItTakes(RecordingWorker):
    """A worker killed between taking a job from its queue and noting it."""

    def reorder_queues(self, **_queue):
        os.kill(os.getpid(), signal.SIGKILL)


class StopsAsItTakes(RecordingWorker):
    """A worker told to stop between taking a job from its queue and noting it."""

    def reorder_queues(self, **_queue):
        os.kill(os.getpid(), signal.SIGTERM)


class StopsAsItTakesInProcess(InProcessWorker):
    def reorder_queues(self, **_queue):
        os.kill(os.getpid(), signal.SIGTERM)


class BreaksBesideItsHorse(RecordingWorker):
    """A worker with an error after which RQ can't go on, while its horse runs."""

    def monitor_work_horse(self, *_args):
        while not self.connection.exists("break"):
            time.sleep(0.01)
        raise RuntimeError("spanner in the works")


def pid():
    return os.getpid()


def fail():
    raise ValueError("spanner in the works")


def fail_until_retried():
    job = get_current_job()
    if job.retries_left == job.meta["retries"]:
        raise ValueError("spanner in the works")


def schedule_another():
    job_scheduler(Recorder.record, ("inner",), queue_name=SHORT_RUNNING_QUEUE)


def log_line(secret):
    assert secret
    logging.getLogger(__name__).warning("inside_the_job")


def note_success(job, _connection, _result):
    Recorder.record(job.id)


def code_under_test(name):
    """Do what a team's own code does: schedule a job and return."""
    return job_scheduler(Recorder.record, (name,))


def fail_when_repeated(repeats):
    if get_current_job().repeats_left < repeats:
        raise ValueError("spanner in the works")


def refuse():
    raise TooManyRequests


def again(interval=0):
    return Retry(max=1, interval=interval)


def kill_horse():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_worker():
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(seconds):
    time.sleep(seconds)


def sleep_in_steps(seconds):
    """Sleep in small steps: a timer can only stop code between two lines of Python."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


async def echo_later(value):
    await asyncio.sleep(0)
    return value


def in_a_wrapper(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


@in_a_wrapper
async def echo_in_a_wrapper(value):
    return await echo_later(value)


def thread_name():
    return threading.current_thread().name


def run_until(key):
    """Record its process id, and run until a key exists; Redis may be away meanwhile."""
    get_current_job().connection.rpush("running", os.getpid())
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if get_current_job().connection.exists(key):
                return
        except RedisError:
            pass
        time.sleep(0.05)


def raise_in_callback(*_args):
    raise RuntimeError("the callback is broken")


def exit_in_callback(*_args):
    sys.exit(5)


def end_process_in_callback(*_args):
    os._exit(7)


def stop_in_callback(*_args):
    raise StopRequested


def take_lock_in_callback(_job, connection, *_args):
    connection.set("rq:clean_registries:q", "somebody else")


def heartbeat_in_callback(job, connection, *_args):
    """Do what the job's worker would do meanwhile."""
    [execution] = connection.zrange("rq:wip:q", 0, -1)
    connection.zadd("rq:wip:q", {execution: time.time() + 90})
    connection.hset(f"rq:execution:{execution.decode()}", "last_heartbeat", time.time())
    job.heartbeat(datetime.now(UTC), 90)


def allowing_failure(job):
    return Dependency(jobs=[job], allow_failure=True)


def sleep_in_callback(*_args):
    time.sleep(30)


def lose_keys(*keys):
    """Do what a Redis that evicts keys does meanwhile."""
    get_current_job().connection.delete(*keys)


def lose_redis(key):
    push(key, "x")
    raise RedisConnectionError("it does not answer me")
