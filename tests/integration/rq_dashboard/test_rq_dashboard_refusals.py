"""A Redis that refuses is distinguished from one that does not answer: read-only pages work."""

import contextlib
import shutil

import httpx
import pytest
from redis.exceptions import ResponseError
from rq import Queue

from tests.jobs import pid
from tests.processes.rq_dashboard_process import Dashboard, failed_ids
from tests.servers import free_port, wait_for


@pytest.fixture
def read_only(valkey):
    """A replica that has lost its primary: it answers, but accepts no writes."""
    valkey.client.replicaof("127.0.0.1", free_port())
    yield
    valkey.client.replicaof("NO", "ONE")


@pytest.fixture
def unable_to_save(valkey):
    folder = valkey.client.config_get("dir")["dir"]
    valkey.client.config_set("save", "3600 1")
    shutil.rmtree(folder)

    def refuses_writes():
        with contextlib.suppress(ResponseError):
            valkey.client.bgsave()
        try:
            valkey.client.ping()
        except ResponseError as error:
            return "MISCONF" in str(error)
        return False

    wait_for(refuses_writes)
    yield
    valkey.client.config_set("stop-writes-on-bgsave-error", "no")


PAGES = ("/", "/0/view/queues", "/0/view/workers", "/0/view/jobs", "/0/view/jobs/mine/failed/8/asc/1")
DATA = ("/0/data/queues.json", "/0/data/workers.json", "/0/data/jobs/mine/failed/8/asc/1.json")
ACTIONS = ("/requeue/mine", "/queue/mine/failed/empty", "/queue/mine/queued/empty", "/queue/mine/compact")


def looks_and_acts(dashboard, valkey, code):
    ids = failed_ids(valkey)
    valkey_before = sorted(valkey.client.keys())
    for path in (*PAGES, *DATA, f"/0/view/job/{ids[0]}", f"/0/data/job/{ids[0]}.json"):
        assert dashboard.http.get(path).status_code == 200, path
    assert httpx.get(f"{dashboard.origin}/healthz").json() == {"status": "ok"}
    for path in (*ACTIONS, f"/job/{ids[0]}/requeue", f"/job/{ids[0]}/delete"):
        answer = dashboard.post(path)
        assert (answer.status_code, answer.text.count("\n")) == (409, 1), path
        assert f"Redis refuses ({code})" in answer.text
    assert sorted(valkey.client.keys()) == valkey_before


@pytest.fixture
def listed(valkey, failed_jobs, dashboard):
    """A queue with jobs, and what RQ's own readers would remove: a job and a worker that are gone."""
    failed_jobs(2)
    queue = Queue("mine", connection=valkey.client)
    queue.enqueue(pid)
    valkey.client.rpush(queue.key, "gone")
    valkey.client.sadd("rq:workers", "rq:worker:gone")


@pytest.mark.usefixtures("listed", "read_only")
def test_a_read_only_redis_is_read(dashboard, valkey):
    looks_and_acts(dashboard, valkey, "READONLY")


def test_a_redis_that_refuses_to_be_read_is_said(dashboard, valkey, failed_jobs):
    valkey.client.replicaof("127.0.0.1", free_port())
    valkey.client.config_set("replica-serve-stale-data", "no")
    try:
        for path in (*PAGES, *DATA):
            answer = dashboard.http.get(path)
            assert answer.status_code == 502
            assert "Redis refuses (MASTERDOWN): it is a replica that lost its primary" in answer.text
            assert "does not answer" not in answer.text
        health = httpx.get(f"{dashboard.origin}/healthz")
        assert (health.status_code, health.json()) == (502, {"status": "redis refuses: MASTERDOWN"})
    finally:
        valkey.client.config_set("replica-serve-stale-data", "yes")
        valkey.client.replicaof("NO", "ONE")
    assert dashboard.answers() == 200


def test_a_user_without_rights_is_told_which_right_is_missing(valkey, tmp_path, failed_jobs):
    failed_jobs(1)
    valkey.client.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~rq:*", "+@read")
    url = f"redis://reader:pw@127.0.0.1:{valkey.port}/0"
    dashboard = Dashboard(valkey, tmp_path / "log", RQ_REDIS_URL=url)
    try:
        wait_for(lambda: dashboard.answers() == 200)
        for path in (*PAGES, *DATA):
            assert dashboard.http.get(path).status_code == 200, path
        answer = dashboard.post("/requeue/mine")
        assert (answer.status_code, "Redis refuses (NOPERM)" in answer.text) == (409, True)
    finally:
        assert dashboard.stop() == 0
        valkey.client.execute_command("ACL", "DELUSER", "reader")
        valkey.client.flushall()


@pytest.mark.usefixtures("listed", "unable_to_save")
def test_a_redis_that_cannot_save_is_read(dashboard, valkey):
    looks_and_acts(dashboard, valkey, "MISCONF")
