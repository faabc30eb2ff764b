"""With RQ_SERIALIZER=json no command, exporter or page unpickles data from Redis."""

import json
import pickle
from base64 import b64encode

import pytest
from rq import Queue, SimpleWorker

from scheduler import job_scheduler
from scheduler.cron.constants import EVERY_MINUTE
from scheduler.cron.store.registry import DATA
from scheduler.serializers import SERIALIZERS
from tests.commands import manage
from tests.jobs import Canary, fail, pid
from tests.processes.exporter_process import exporter, value
from tests.processes.rq_dashboard_process import Dashboard, Valkey, seems_to_run
from tests.servers import wait_for


def plant(connection, path):
    """A queued, a finished, a failed and a running job, each of which leaves a trace if it is unpickled."""
    queue = Queue("mine", connection=connection)
    worker = SimpleWorker([queue], connection=connection, name="busy")
    jobs = {"finished": queue.enqueue(pid), "failed": queue.enqueue(fail)}
    worker.work(burst=True)
    jobs["queued"] = queue.enqueue(pid, meta={"correlation_id": "c"})
    worker.register_birth()
    seems_to_run(worker, jobs["queued"].id)
    song = pickle.dumps(Canary(path))
    for job in jobs.values():
        connection.hset(job.key, mapping={"data": song, "meta": song, "result": song})
    connection.xadd(
        f"rq:results:{jobs['finished'].id}", {"type": 1, "return_value": b64encode(song), "worker_name": ""}
    )
    return jobs


@pytest.mark.usefixtures("either_serializer")
def test_commands_and_the_exporter_unpickle_nothing(queue, redis_connection, rq_redis_url, tmp_path):
    jobs = plant(redis_connection, tmp_path / "sung")
    job_scheduler(pid, cron=EVERY_MINUTE, queue_name="mine", cron_id="x")
    redis_connection.hset(DATA, "x", pickle.dumps(Canary(tmp_path / "sung")))
    (tmp_path / "crons.py").write_text(
        "from scheduler import job_scheduler\n"
        "def schedule_jobs():\n"
        "    job_scheduler('tests.jobs.pid', cron='* * * * *', queue_name='mine', cron_id='x')\n"
    )
    with exporter(rq_redis_url) as process:
        assert value(process.scrape(), "rq_jobs", queue="mine", status="queued") == 1
    for command in (
        "cron list",
        "cron history x",
        f"cron diff {tmp_path / 'crons.py'}",
        "cron run-now x",
        "cron pause x",
        "cron resume x",
        "health-check --queue mine",
        "purge-queue mine",
        "purge-queue mine --queue_state failed",
        "test-rq --generated_jobs 1",
        "cron remove x",
    ):
        done = manage(*command.split())
        assert done.returncode == 0, (command, done.stderr)
    assert not redis_connection.exists(jobs["queued"].key, jobs["failed"].key)
    assert not (tmp_path / "sung").exists()


@pytest.fixture(scope="module")
def valkey():
    valkey = Valkey()
    yield valkey
    valkey.stop()


@pytest.fixture(scope="module", params=["pickle", "json"])
def serializer(request):
    return request.param


@pytest.fixture(scope="module")
def running(valkey, serializer, tmp_path_factory):
    dashboard = Dashboard(valkey, tmp_path_factory.mktemp("dashboard") / "log", RQ_SERIALIZER=serializer)
    wait_for(lambda: dashboard.answers() == 200)
    yield dashboard
    assert dashboard.stop() == 0


@pytest.fixture
def dashboard(running, valkey):
    yield running
    valkey.client.flushall()


def pages(jobs):
    registries = ["queued", "failed", "finished", "started", "deferred", "scheduled", "canceled"]
    return [
        *("/", "/0/data/queues.json", "/0/view/workers", "/0/data/workers.json", "/0/view/jobs"),
        *(
            f"/0/data/jobs/mine/{registry}/8/{order}/1.json"
            for registry in registries
            for order in ("asc", "dsc")
        ),
        *(f"/0/view/job/{job.id}" for job in jobs.values()),
        *(f"/0/data/job/{job.id}.json" for job in jobs.values()),
    ]


def test_no_page_unpickles_or_fails_under_json(dashboard, serializer, valkey, tmp_path):
    jobs = plant(valkey.client, tmp_path / "sung")
    answers = {page: dashboard.http.get(page) for page in pages(jobs)}
    answers["requeue"] = dashboard.post(f"/job/{jobs['failed'].id}/requeue")
    answers["requeue all"] = dashboard.post("/requeue/mine")
    answers["delete"] = dashboard.post(f"/job/{jobs['finished'].id}/delete")
    answers["empty"] = dashboard.post("/queue/mine/queued/empty")
    assert (tmp_path / "sung").exists() == (serializer == "pickle")
    assert {name: it.status_code for name, it in answers.items() if it.status_code != 200} == {}


def test_a_page_says_what_it_cannot_read_and_shows_the_rest(dashboard, serializer, valkey):
    other = SERIALIZERS["json" if serializer == "pickle" else "pickle"]
    queue = Queue("mine", connection=valkey.client, serializer=other)
    worker = SimpleWorker([queue], connection=valkey.client, serializer=other, name="busy")
    job = queue.enqueue(pid, meta={"a": 1}, description="Words")
    worker.work(burst=True)
    worker.register_birth()
    seems_to_run(worker, job.id)
    unreadable = "This was written with another RQ_SERIALIZER."
    shown = dashboard.http.get(f"/0/data/job/{job.id}.json").json()
    assert (shown["description"], shown["status"]) == ("Words", "finished")
    assert (shown["result"], json.loads(shown["metadata"])) == (unreadable, unreadable)
    assert job.id in dashboard.http.get("/0/data/jobs/mine/finished/8/asc/1.json").text
    [shown] = dashboard.http.get("/0/data/workers.json").json()["workers"]
    assert (shown["current_job"]["description"], shown["current_job"]["call_string"]) == ("Words", unreadable)


def test_pages_show_jobs_of_their_own_serializer(dashboard, serializer, valkey):
    queue = Queue("mine", connection=valkey.client, serializer=SERIALIZERS[serializer])
    worker = SimpleWorker([queue], connection=valkey.client, serializer=SERIALIZERS[serializer], name="busy")
    job, failed = queue.enqueue(pid, meta={"a": 1}), queue.enqueue(fail, meta={"a": 2})
    worker.work(burst=True)
    worker.register_birth()
    seems_to_run(worker, job.id)
    shown = dashboard.http.get(f"/0/data/job/{job.id}.json").json()
    assert (json.loads(shown["metadata"]), shown["result"] > 0) == ({"a": 1}, True)
    [shown] = dashboard.http.get("/0/data/workers.json").json()["workers"]
    assert shown["current_job"]["call_string"] == "tests.jobs.pid()"
    assert dashboard.post(f"/job/{failed.id}/requeue").json() == {"status": "OK"}
    assert (queue.job_ids, queue.fetch_job(failed.id).meta) == ([failed.id], {"a": 2})
