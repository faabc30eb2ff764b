"""The two compose files on a real engine: what runs, refuses, reports and survives."""

import json
import re
import socket
import uuid

import httpx
import pytest
import redis
from rq import Queue
from rq.job import Job

from rqmon.stack.services import WITH_GRAFANA, WITH_PREVIEW
from scheduler.scheduler import Scheduler
from tests.containers.containers import docker
from tests.servers import wait_for
from tests.stack import PORTS

OURS = ("rq_short", "rq_long", "rq_sched", "rq_exporter", "rq_dashboard", "doors", "alert_log")


@pytest.fixture(scope="module")
def connection(containers):
    with redis.Redis.from_url(containers.stack.config.variables["RQ_REDIS_URL"]) as connection:
        yield connection


def finished(job: Job) -> bool:
    return job.get_status(refresh=True) == "finished"


def workers(containers, queue: str) -> int:
    text = httpx.get(f"{containers.stack.url('rq_exporter')}/metrics").text
    return len(re.findall(rf'^rq_workers{{[^}}]*queues="{queue}"', text, re.MULTILINE))


def test_everything_is_healthy_and_seen_by_prometheus(containers):
    ours = f"label=com.docker.compose.project={containers.project}"
    running = set(
        docker("ps", "--filter", ours, "--format", '{{.Label "com.docker.compose.service"}}').split()
    )
    has_grafana = "grafana" in running
    assert {service.name for service in (WITH_GRAFANA if has_grafana else WITH_PREVIEW)} <= running
    assert has_grafana or "the preview of its dashboards starts instead" in containers.said
    wait_for(containers.healthy, seconds=60, what="all containers and targets are healthy")
    assert httpx.get(containers.stack.url("grafana"), follow_redirects=True).status_code == 200


def test_status_lists_them(containers):
    status = containers.stack.rqmon("status")
    assert status.returncode == 0, status.stdout
    assert status.stdout.count(" healthy ") == len(WITH_PREVIEW)


@pytest.mark.parametrize("queue", ["short-running", "long-running"])
def test_a_job_of_each_queue_runs(connection, queue):
    job = Queue(queue, connection=connection).enqueue("rqmon.demo.jobs.queue_health_check")
    wait_for(lambda: finished(job))


def test_nothing_listens_off_loopback(containers):
    published = [
        binding
        for container in containers.ids()
        for bindings in (
            json.loads(docker("inspect", container))[0]["HostConfig"]["PortBindings"] or {}
        ).values()
        for binding in bindings
    ]
    assert len(published) == len(PORTS)
    assert {binding["HostIp"] for binding in published} == {"127.0.0.1"}
    [network] = containers.inspect("redis")["NetworkSettings"]["Networks"].values()
    elsewhere = network["Gateway"]  # this machine's address, as its containers see it
    for binding in published:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((elsewhere, int(binding["HostPort"])), timeout=2)


def test_what_should_refuse_refuses(containers):
    variables = containers.stack.config.variables
    with redis.Redis(port=int(variables["REDIS_PORT"])) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    dashboard, prometheus = containers.stack.url("rq_dashboard"), containers.stack.url("prometheus")
    assert httpx.get(dashboard).status_code == 401
    assert httpx.get(dashboard, auth=("rq", "wrong")).status_code == 401
    deleted = httpx.post(f"{prometheus}/api/v1/admin/tsdb/delete_series", params={"match[]": "up"})
    assert deleted.json()["error"] == "admin APIs disabled"
    assert httpx.post(f"{prometheus}/-/quit").status_code in (403, 405)
    assert httpx.post(f"{prometheus}/-/reload").status_code in (403, 405)


@pytest.mark.parametrize("service", ["prometheus", "alertmanager"])
def test_pages_of_other_sites_are_turned_away_and_nobody_gets_past_the_door(containers, service):
    door = containers.stack.url(service)
    assert httpx.get(f"{door}/-/ready").status_code == 200
    assert httpx.get(f"{door}/-/ready", headers={"Host": "evil.example"}).status_code == 403
    for method in ("GET", "POST", "OPTIONS"):
        headers = {"Origin": "http://evil.example"}
        assert httpx.request(method, f"{door}/-/ready", headers=headers).status_code == 403
    [network] = containers.inspect(service)["NetworkSettings"]["Networks"].values()
    port = {"prometheus": 9090, "alertmanager": 9093}[service]
    assert httpx.get(f"http://{network['IPAddress']}:{port}/-/ready").status_code == 401


@pytest.mark.parametrize("service", OURS)
def test_our_containers_can_do_little(containers, service):
    container = containers.id(service)
    assert docker("exec", container, "id", "-u") == "10001"
    status = docker("exec", container, "cat", "/proc/1/status")
    assert re.search(r"^CapEff:\s0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
    denied = docker("exec", container, "sh", "-c", "touch /app/written 2>&1 || true")
    assert "Read-only file system" in denied
    limits = containers.inspect(service)["HostConfig"]
    assert limits["Memory"] > 0
    assert limits["PidsLimit"] > 0


def test_no_secret_is_shown(containers):
    secrets = [v for name, v in containers.stack.config.variables.items() if name.endswith("_PASSWORD")]
    assert len(secrets) == 3
    shown = {
        "docker inspect": docker("inspect", *containers.ids()),
        "docker history": docker("history", "--no-trunc", containers.inspect("rq_short")["Image"]),
        "docker top": "".join(docker("top", container) for container in containers.ids()),
        "logs": containers.logs(),
        "metrics": httpx.get(f"{containers.stack.url('rq_exporter')}/metrics").text,
        "prometheus": httpx.get(f"{containers.stack.url('prometheus')}/api/v1/status/config").text,
    }
    assert all(len(text) > 100 for text in shown.values())
    assert [where for where, text in shown.items() if any(secret in text for secret in secrets)] == []


def test_a_jobs_arguments_are_shown_nowhere(containers, connection):
    canary = f"canary-{uuid.uuid4().hex}"
    with Scheduler(connection=connection) as scheduler:
        good = scheduler.enqueue("short-running", "rqmon.demo.jobs.rate_limited", canary)
        bad = scheduler.enqueue("short-running", "rqmon.demo.jobs.work_for", 1, canary)
    wait_for(lambda: finished(good) and bad.get_status(refresh=True) == "failed")
    variables = containers.stack.config.variables
    login = (variables["RQ_DASHBOARD_USERNAME"], variables["RQ_DASHBOARD_PASSWORD"])
    pages = [
        httpx.get(f"{containers.stack.url('rq_dashboard')}{path}", auth=login).text
        for path in (
            f"/0/data/job/{good.id}.json",
            f"/0/data/job/{bad.id}.json",
            "/0/data/jobs/short-running/finished/10/asc/1.json",
            "/0/data/jobs/short-running/failed/10/asc/1.json",
        )
    ]
    assert good.id in pages[0]
    assert good.id in pages[2]
    assert bad.id in pages[3]
    everywhere = {
        "rq-dashboard": "".join(pages),
        "metrics": httpx.get(f"{containers.stack.url('rq_exporter')}/metrics").text,
        "series": httpx.get(
            f"{containers.stack.url('prometheus')}/api/v1/series", params={"match[]": '{__name__=~".+"}'}
        ).text,
        "logs": containers.logs(),
    }
    assert bad.id in everywhere["logs"]
    assert [where for where, text in everywhere.items() if canary in text] == []


def test_workers_are_scaled(containers, connection):
    containers.up("--scale", "rq_short=4", "rq_short")
    try:
        wait_for(lambda: workers(containers, "short-running") == 4, what="four workers in the metrics")
        counted = 'count(rq_workers{queues="short-running"})'
        wait_for(
            lambda: [s["value"][1] for s in containers.stack.query(counted)] == ["4"],
            seconds=40,
            what="Prometheus counts them",
        )
        wait_for(
            lambda: "(4 of 4)" in containers.stack.rqmon("status").stdout, seconds=60, what="status has four"
        )
    finally:
        containers.up("--scale", "rq_short=1", "rq_short")
    wait_for(lambda: workers(containers, "short-running") == 1, what="one worker in the metrics")


def test_a_stopped_worker_finishes_its_job_first(containers, connection):
    job = Queue("short-running", connection=connection).enqueue("rqmon.demo.jobs.work_for", 6)
    wait_for(lambda: job.get_status(refresh=True) == "started")
    docker("stop", "--time", "30", containers.id("rq_short"))
    try:
        assert finished(job)
        assert containers.inspect("rq_short")["State"]["ExitCode"] == 0, (
            "it was not killed at the end of its grace"
        )
    finally:
        containers.up("rq_short")


def test_a_start_over_a_running_stack_keeps_the_data(containers, connection):
    connection.set("kept", "over an upgrade")
    image = containers.inspect("rq_short")["Config"]["Image"]
    docker("commit", "--message", "an older version", containers.id("rq_short"), image)
    containers.up("--no-build", "--force-recreate", "--no-deps", "rq_short")
    older = containers.inspect("rq_short")["Image"]
    kept = containers.id("redis")
    containers.stack.start()
    assert containers.inspect("rq_short")["Image"] != older
    assert containers.id("redis") == kept
    assert connection.get("kept") == b"over an upgrade"
    # Also for a stack whose .env lacked a variable.
    lines = containers.stack.env_file.read_text().splitlines(keepends=True)
    containers.stack.env_file.write_text("".join(x for x in lines if not x.startswith("RQ_DASHBOARD_USER")))
    assert "Wrote RQ_DASHBOARD_USERNAME" in containers.stack.start()
    assert connection.get("kept") == b"over an upgrade"
    job = Queue("short-running", connection=connection).enqueue("rqmon.demo.jobs.queue_health_check")
    wait_for(lambda: finished(job))
