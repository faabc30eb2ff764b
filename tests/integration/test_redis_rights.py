"""Each part around the core runs with exactly the rights in docs/reference/redis.md, and uses each."""

import json
import os
import subprocess
import sys

import pytest
from rq import Queue
from rq.job import Job

from scheduler import RateLimit, Scheduler
from scheduler.cron.heartbeats import live_processes
from scheduler.cron.store.registry import NEXT
from scheduler.workers.strategies import RecordingWorker
from tests import jobs
from tests.processes.exporter_process import exporter, value
from tests.processes.rq_dashboard_process import Dashboard
from tests.redis_rights import ADMIN, CRON_PROGRAM, ROOT, part_with_its_rights, queue_all_kinds
from tests.servers import wait_for


@pytest.fixture
def held(request):
    with part_with_its_rights(request.param) as held:
        yield held


@pytest.mark.parametrize("held", ["exporter"], indirect=True)
def test_exporter(held):
    queue_all_kinds(Queue("q", connection=held.admin))
    with Scheduler("burst-no-fork", connection=held.admin) as queue:
        queue.work("q")
    RecordingWorker(["q"], connection=held.admin).register_birth()
    held.admin.hset(Job.key_for("lost"), mapping={"status": "queued", "origin": "q"})
    with exporter(held.url) as process:
        wait_for(lambda: value(process.scrape(), "rq_jobs_unaccounted") == 1)
        text = process.scrape()
    assert value(text, "rq_redis_up") == 1
    assert value(text, "rq_redis_keys", db="0") > 0
    for reason in ("key", "refused", "unexpected", "connection"):
        assert value(text, "rq_scrape_errors_total", reason=reason) == 0


@pytest.mark.parametrize("held", ["rq-dashboard"], indirect=True)
def test_rq_dashboard(held, tmp_path):
    queue = Queue("mine", connection=held.admin)
    queue_all_kinds(queue)
    with Scheduler("burst-no-fork", connection=held.admin) as scheduler:
        scheduler.work("mine")
    failed = queue.failed_job_registry.get_job_ids()
    waiting = queue.enqueue(jobs.pid)
    worker = RecordingWorker([queue], connection=held.admin)
    worker.register_birth()
    dashboard = Dashboard(held, tmp_path / "log", RQ_REDIS_URL=held.url)
    try:
        wait_for(lambda: dashboard.answers() == 200)
        registries = ("queued", "failed", "finished", "started", "deferred", "scheduled", "canceled")
        for path in (
            *("/", "/0/view/queues", "/0/view/workers", "/0/view/jobs", f"/0/view/job/{waiting.id}"),
            *("/0/data/queues.json", "/0/data/workers.json", f"/0/data/job/{waiting.id}.json"),
            *(f"/0/data/jobs/mine/{registry}/10/asc/1.json" for registry in registries),
        ):
            assert dashboard.http.get(path).status_code == 200, path
        for path in (
            *(
                f"/job/{failed[0]}/requeue",
                f"/job/{failed[1]}/delete",
                "/requeue/mine",
                "/queue/mine/compact",
            ),
            *(f"/queue/mine/{registry}/empty" for registry in registries if registry != "started"),
        ):
            assert dashboard.post(path).status_code == 200, path
    finally:
        dashboard.stop()
    assert queue.count == 0


@pytest.mark.parametrize("held", ["rqmon"], indirect=True)
def test_rqmon(held):
    def rqmon(*arguments, code=0):
        environment = {**os.environ, "RQ_REDIS_URL": held.url, "RQMON_ENV_FILE": "/nonexistent"}
        command = [sys.executable, ROOT / "manage.py", *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    with Scheduler("burst-no-fork", connection=held.admin) as scheduler:
        scheduler.cron("q", "0 0 * * *", jobs.pid)
        [entry] = [job.id for job in scheduler.scheduled_jobs()]
    assert "Queued" in rqmon("test-rq", "--generated_jobs", "5")
    assert "Deleted" in rqmon("purge-queue", "short-running", "--queue_state", "queued")
    rqmon("test-rq", "--generated_jobs", "5")
    with Scheduler("burst-no-fork", connection=held.admin) as scheduler:
        scheduler.work("short-running")
    for state in ("queued", "failed", "scheduled"):
        assert "Deleted" in rqmon("purge-queue", "short-running", "--queue_state", state)
    RecordingWorker(["q"], connection=held.admin).register_birth()
    rqmon("health-check", "--queue", "q")
    held.admin.zadd(NEXT, {entry: 86400})  # due when it is paused, and so missed
    for arguments in (
        *(["list"], ["history", entry], ["run-now", entry], ["pause", entry], ["resume", entry]),
        *(["diff", str(ROOT / "cron-scheduler.py")], ["remove", entry]),
    ):
        rqmon("cron", *arguments)
    # It is not the tested part, so its commands must not count.
    admin = f"redis://127.0.0.1:{held.port}/0?client_name={ADMIN}"
    with held.process("-c", CRON_PROGRAM, RQ_REDIS_URL=admin):
        wait_for(lambda: live_processes(held.admin))
        rqmon("cron", "health")
    look_into_everything(rqmon, held.admin)


def look_into_everything(rqmon, connection):
    """Ask the doctor, and why, about jobs and workers of all kinds."""
    queue = Queue("ill", connection=connection)
    queue_all_kinds(queue)
    with Scheduler("burst-no-fork", connection=connection) as scheduler:
        scheduler.work("ill")
    waiting = queue.enqueue(jobs.pid)
    queue.enqueue(jobs.pid, depends_on=waiting)
    RateLimit("r", "c", 1, 60, connection=connection).increment_usage()
    RecordingWorker([queue], connection=connection).prepare_execution(queue.enqueue(jobs.pid))
    connection.rpush(f"{queue.key}:intermediate", waiting.id)
    found = json.loads(rqmon("doctor", "--json", code=2))
    assert found["unknown"] == []
    failed, *_ = queue.failed_job_registry.get_job_ids()
    for id_ in (failed, waiting.id):
        rqmon("why", id_)
    rqmon("why", "nobody", code=2)
