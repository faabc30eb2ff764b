import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest

from scheduler import job_scheduler
from scheduler.cron.heartbeats import PROCESSES, Heart
from tests import ROOT
from tests.commands import manage, rqmon_cron
from tests.jobs import pid
from tests.servers import wait_for

DAY = timedelta(days=1)


def test_health_is_1_without_a_process(queue):
    assert "none" in rqmon_cron("health", code=1)


def beat(heart, passed_over):
    """Make a process live now: its heartbeat counts for 15 s, and on a busy machine commands take long."""
    heart.hurry()
    heart.worked()
    heart.beat(passed_over)


def test_health_is_1_while_a_process_gets_nothing_done_and_says_why(queue, redis_connection):
    heart = Heart(redis_connection, version="1")
    beat(heart, {"an-entry": "its zone is unknown"})
    shown = rqmon_cron("health")
    assert "1 entry can't be run:\n  an-entry: its zone is unknown (says" in shown

    def in_trouble():
        beat(heart, {})
        [(name, stored)] = redis_connection.hgetall(PROCESSES).items()
        about = {**json.loads(stored), "trouble": "Redis refuses (NOPERM)"}
        about["worked_at"] -= 60
        redis_connection.hset(PROCESSES, name, json.dumps(about))

    in_trouble()
    assert "queues nothing since" in (shown := rqmon_cron("health", code=1))
    assert "Redis refuses (NOPERM)" in shown
    in_trouble()
    [process] = json.loads(rqmon_cron("health", "--json", code=1))
    assert (process["working"], process["trouble"]) == (False, "Redis refuses (NOPERM)")


def test_health_is_1_while_no_process_can_queue_any_entry(entry, redis_connection):
    unable, able = (Heart(redis_connection, version="1") for _ in range(2))
    no_set = "The key rq:queues is not a set"
    beat(unable, {entry.id: no_set})
    assert f"{entry.id}: {no_set}" in rqmon_cron("health", code=1)
    beat(unable, {entry.id: no_set})
    beat(able, {})
    rqmon_cron("health")
    able.stop()
    job_scheduler(pid, cron="* * * * *", cron_id="another")
    beat(unable, {entry.id: no_set})
    rqmon_cron("health")
    beat(unable, dict.fromkeys((entry.id, "another", *map(str, range(30))), no_set))
    rqmon_cron("health", code=1)


@pytest.fixture
def cron_process(queue, rq_redis_url, tmp_path):
    """Start cron-scheduler.py with these Python arguments, wait until it is live, and stop it at the end."""
    started = []

    def start(*args):
        env = {**os.environ, "RQ_REDIS_URL": rq_redis_url, "PYTHONPATH": str(ROOT)}
        with (tmp_path / "log").open("wb") as log:
            started.append(subprocess.Popen([sys.executable, *args], env=env, cwd=tmp_path, stderr=log))
        wait_for(lambda: manage("cron", "health").returncode == 0, what="a live process")

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=20)


def test_health_shows_the_version_that_runs(cron_process):
    cron_process(str(ROOT / "cron-scheduler.py"))
    [process] = json.loads(rqmon_cron("health", "--json"))
    name = f"{process['host']}:{process['pid']}"
    assert rqmon_cron("health") == f"Live cron processes: {name} ({version('rqmon')})\n"
    for at in ("started_at", "heartbeat"):
        assert abs(datetime.now(UTC) - datetime.fromisoformat(process[at])) < DAY
    assert json.loads(rqmon_cron("list", "--json"))["processes"][0]["started_at"] == process["started_at"]


NOT_INSTALLED = """
import importlib.metadata, runpy, sys
found = importlib.metadata.version
def version(name):
    if name == "rqmon":
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)
importlib.metadata.version = version
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_a_cron_process_runs_from_files_that_are_only_copied(cron_process):
    cron_process("-c", NOT_INSTALLED, str(ROOT / "cron-scheduler.py"))
    [process] = json.loads(rqmon_cron("health", "--json"))
    assert process["version"] == ""
    assert rqmon_cron("health") == f"Live cron processes: {process['host']}:{process['pid']}\n"
