"""The dashboard as people run it: as its own process, on its own Valkey with a password."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from rq import Queue, SimpleWorker
from rq.job import Job

from tests.jobs import fail, pid
from tests.processes.rq_dashboard_process import (
    HOSTILE,
    LOGIN,
    Dashboard,
    failed_ids,
    queued_ids,
)
from tests.servers import free_port, wait_for


@pytest.fixture
def failed(valkey):
    """A job of the queue "mine" that has failed."""
    queue = Queue("mine", connection=valkey.client)
    job = queue.enqueue(fail)
    SimpleWorker([queue], connection=valkey.client).work(burst=True)
    assert failed_ids(valkey) == [job.id]
    return job


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/0/view/workers",
        "/0/data/queues.json",
        "/static/css/main.css",
        "/favicon.ico",
        "/no-such-page",
    ],
)
@pytest.mark.parametrize("login", [None, ("rq", "wrong"), ("wrong", LOGIN[1]), ("rq", "")])
def test_nothing_is_shown_without_the_password(dashboard, path, login):
    answer = httpx.get(dashboard.origin + path, auth=login)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Basic realm="RQ dashboard"')
    assert answer.text == "Log in with the dashboard's user name and password.\n"


def test_health_needs_no_password_and_tells_nothing(dashboard):
    answer = httpx.get(f"{dashboard.origin}/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_the_pages_are_shown_with_the_password(dashboard, failed):
    for path in ("/", "/0/view/queues", "/0/view/jobs", "/0/view/workers", f"/0/view/job/{failed.id}"):
        answer = dashboard.http.get(path)
        assert answer.status_code == 200
        assert "RQ-dashboard" in answer.text
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    (queue,) = dashboard.http.get("/0/data/queues.json").json()["queues"]
    assert (queue["name"], queue["failed_job_registry_count"]) == ("mine", 1)


def test_a_nonce_is_used_once(dashboard):
    policies = {dashboard.http.get("/").headers["Content-Security-Policy"] for _ in range(3)}
    assert len(policies) == 3


def test_no_page_shows_a_password(dashboard, valkey, failed):
    paths = ["/", "/0/view/jobs", "/0/view/workers", f"/0/view/job/{failed.id}"]
    paths += ["/0/data/queues.json", "/0/data/workers.json", "/1/view/queues", "/no-such-page"]
    for path in paths:
        text = dashboard.http.get(path).text
        assert "s3cret" not in text
        assert "p@ss" not in text
    assert f"127.0.0.1:{valkey.port}/0" in dashboard.http.get("/").text
    assert "s3cret" not in dashboard.log_path.read_text()


def test_there_is_no_second_redis(dashboard):
    assert dashboard.http.get("/1/view/queues").status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "/requeue/mine",
        "/job/{id}/requeue",
        "/job/{id}/delete",
        "/queue/mine/failed/empty",
        "/queue/mine/compact",
    ],
)
def test_reading_changes_nothing(dashboard, valkey, failed, method, path):
    answer = dashboard.http.request(method, path.format(id=failed.id), headers={"Origin": dashboard.origin})
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert (failed_ids(valkey), queued_ids(valkey)) == ([failed.id], [])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Referer": "http://evil.example/page"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Accept": "*/*"},  # no header says where it comes from
    ],
)
@pytest.mark.parametrize("path", ["/requeue/mine", "/job/{id}/delete", "/queue/mine/failed/empty"])
def test_a_foreign_page_changes_nothing(dashboard, valkey, failed, headers, path):
    answer = dashboard.post(path.format(id=failed.id), **headers)
    assert answer.status_code == 403
    assert answer.text.startswith("Refused: ")
    assert answer.text.count("\n") == 1
    assert (failed_ids(valkey), queued_ids(valkey)) == ([failed.id], [])


@pytest.mark.parametrize("path", ["/requeue/mine", "/job/{id}/requeue"])
def test_the_dashboards_own_page_requeues(dashboard, valkey, failed, path):
    assert dashboard.post(path.format(id=failed.id)).json()["status"] == "OK"
    assert (failed_ids(valkey), queued_ids(valkey)) == ([], [failed.id])


def test_a_script_that_says_so_requeues(dashboard, valkey, failed):
    assert dashboard.post("/requeue/mine", **{"X-Requested-With": "curl"}).json() == {
        "status": "OK",
        "count": 1,
    }
    assert queued_ids(valkey) == [failed.id]


def test_emptying_deletes_the_jobs(dashboard, valkey, failed):
    Queue("mine", connection=valkey.client).enqueue(pid)
    assert dashboard.post("/queue/mine/failed/empty").json() == {"status": "OK"}
    assert (failed_ids(valkey), len(queued_ids(valkey))) == ([], 1)
    assert not Job.exists(failed.id, connection=valkey.client)


def test_a_job_that_is_gone_or_busy_elsewhere_is_said_in_a_line(dashboard, valkey, failed):
    assert dashboard.http.get("/0/view/job/gone").status_code == 404
    assert dashboard.http.get("/0/data/job/gone.json").status_code == 404
    assert dashboard.post(f"/job/{failed.id}/requeue").status_code == 200
    again = dashboard.post(f"/job/{failed.id}/requeue")
    assert (again.status_code, again.text.count("\n")) == (409, 1)
    assert queued_ids(valkey) == [failed.id]


def test_an_address_runs_no_script(dashboard):
    name = "');window.hacked=1;('"
    page = dashboard.http.get(f"/0/view/jobs/{name}/queued/8/asc/1").text
    assert "window.hacked=1" in page
    assert name not in page
    assert HOSTILE not in dashboard.http.get(f"/0/view/jobs/{HOSTILE}/queued/8/asc/1").text


def pages(dashboard):
    """Return the status of pages and of the JSON behind them, and how long the slowest took."""
    paths = ["/", "/0/view/workers", "/0/view/jobs", "/0/data/queues.json", "/0/data/workers.json"]
    with ThreadPoolExecutor(len(paths)) as threads:
        answers = list(threads.map(dashboard.http.get, paths))
    return (
        {answer.status_code for answer in answers},
        max(a.elapsed.total_seconds() for a in answers),
        answers,
    )


def test_a_frozen_redis_is_said_quickly_and_recovered_from(dashboard, valkey, failed):
    # RQ raises the timeout of the connections that are made after a worker was read.
    SimpleWorker(["mine"], connection=valkey.client).register_birth()
    assert len(dashboard.http.get("/0/data/workers.json").json()["workers"]) == 1
    assert pages(dashboard)[0] == {200}
    valkey.signal(signal.SIGSTOP)
    try:
        statuses, slowest_seconds, answers = pages(dashboard)
        health = httpx.get(f"{dashboard.origin}/healthz", timeout=15)
        post = dashboard.post("/requeue/mine")
    finally:
        valkey.signal(signal.SIGCONT)
    assert statuses == {503}
    assert slowest_seconds < 3
    for answer in answers:
        assert "Redis does not answer" in answer.text
        assert answer.headers["Retry-After"] == "3"
    assert health.status_code == 503
    assert health.elapsed.total_seconds() < 1.5
    assert health.json() == {"status": "redis does not answer"}
    assert post.status_code == 503
    wait_for(lambda: dashboard.answers() == 200)
    assert pages(dashboard)[0] == {200}
    assert failed_ids(valkey) == [failed.id]


def test_a_redis_that_is_gone_is_said_and_recovered_from(dashboard, valkey):
    valkey.stop()
    try:
        statuses, slowest_seconds, _ = pages(dashboard)
        health = dashboard.answers()
    finally:
        valkey.start()
    assert (statuses, health) == ({503}, 503)
    assert slowest_seconds < 1
    wait_for(lambda: dashboard.answers() == 200)
    assert pages(dashboard)[0] == {200}


def test_it_starts_without_redis_and_stops_when_asked(valkey, tmp_path):
    dashboard = Dashboard(valkey, tmp_path / "log", RQ_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    wait_for(lambda: dashboard.answers() == 503)
    assert dashboard.stop() == 0


def test_sigterm_lets_a_request_finish(valkey, tmp_path):
    """A frozen Redis makes a request take two seconds; SIGTERM arrives meanwhile."""
    dashboard = Dashboard(valkey, tmp_path / "log")
    wait_for(lambda: dashboard.answers() == 200)
    valkey.signal(signal.SIGSTOP)
    try:
        with socket.create_connection(("127.0.0.1", dashboard.port), timeout=15) as connection:
            request = httpx.Request("GET", dashboard.origin, headers={"Connection": "close"})
            request = next(httpx.BasicAuth(*LOGIN).auth_flow(request))
            lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
            connection.sendall(f"GET / HTTP/1.1\r\n{lines}\r\n".encode())
            wait_for(lambda: busy_connections(valkey.port, dashboard.process.pid) > 1)
            dashboard.process.terminate()
            answer = connection.makefile("rb").read()
    finally:
        valkey.signal(signal.SIGCONT)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Redis does not answer" in answer
    assert dashboard.process.wait(15) == 0


def busy_connections(port, pid):
    """Return how many connections a process has to a port."""
    return sum(bool(c.raddr) and c.raddr.port == port for c in psutil.Process(pid).net_connections("tcp"))


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"RQ_DASHBOARD_PASSWORD": ""}, "RQ_DASHBOARD_PASSWORD is not set"),
        ({"RQ_DASHBOARD_PORT": "nine"}, "RQ_DASHBOARD_PORT is 'nine'"),
        ({"RQ_DASHBOARD_HOST": "no.such.host.invalid"}, "set RQ_DASHBOARD_HOST"),
        ({"RQ_REDIS_URL": "localhost"}, "RQ_REDIS_URL is not a Redis URL"),
    ],
)
def test_bad_input_is_one_line(valkey, tmp_path, environ, says):
    dashboard = Dashboard(valkey, tmp_path / "log", **environ)
    assert dashboard.process.wait(15) == 2
    said = dashboard.log_path.read_text()
    assert says in said
    assert said.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(dashboard, valkey, tmp_path):
    second = Dashboard(valkey, tmp_path / "log", RQ_DASHBOARD_PORT=str(dashboard.port))
    assert second.process.wait(15) == 2
    said = second.log_path.read_text()
    assert f"Can't listen on 127.0.0.1:{dashboard.port}" in said
    assert said.count("\n") == 1
