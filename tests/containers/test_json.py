"""A whole stack with RQ_SERIALIZER=json in its `.env`."""

import json
import zlib

import httpx
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from scheduler import job_scheduler
from scheduler.ledger import jobs as ledger
from scheduler.ledger.cron import cron_history
from tests.containers.load import CRON_FUNCTION, CRON_ID, QUEUES
from tests.servers import wait_for


def test_every_part_writes_runs_and_shows_jobs_as_json(json_containers, monkeypatch):
    stack = json_containers.stack
    variables = stack.config.variables
    monkeypatch.setenv("RQ_REDIS_URL", variables["RQ_REDIS_URL"])
    monkeypatch.setenv("RQ_SERIALIZER", "json")
    with Redis.from_url(variables["RQ_REDIS_URL"]) as connection:
        queues = [Queue(name, connection=connection, serializer=JSONSerializer) for name in QUEUES]

        def finished(job_id: str) -> bool:
            job = Job.fetch(job_id, connection=connection, serializer=JSONSerializer)
            return job.get_status() == "finished"

        def jobs_of_slots() -> list[str]:
            return [
                slot.job_id for slot in cron_history(connection, [CRON_ID], last=5)[CRON_ID] if slot.job_id
            ]

        job = queues[0].enqueue("rqmon.demo.jobs.queue_health_check")
        job_scheduler(CRON_FUNCTION, interval_seconds=1, cron_id=CRON_ID, max_retries=None)
        wait_for(lambda: finished(job.id), what="a job runs")
        wait_for(lambda: any(map(finished, jobs_of_slots())), what="a cron's job runs")
        demo = stack.rqmon("demo", "--seconds", "5")
        assert demo.returncode == 0, demo.stderr
        wait_for(lambda: not any(map(len, queues)), seconds=60, what="the demo's jobs were taken")

        ended = {(function, outcome) for _, function, outcome in ledger.read(connection).outcomes}
        assert {("rqmon.demo.jobs.work_for", "succeeded"), ("rqmon.demo.jobs.fail", "failed")} <= ended
        assert "unknown" not in {function for function, _ in ended}
        data = [connection.hget(key, "data") for key in connection.scan_iter("rq:job:*")]
        functions = [json.loads(zlib.decompress(value))[0] for value in data if value]
        assert len(functions) > 10
        assert all(function.startswith("rqmon.demo.jobs.") for function in functions)

        login = (variables["RQ_DASHBOARD_USERNAME"], variables["RQ_DASHBOARD_PASSWORD"])
        page = httpx.get(f"{stack.url('rq_dashboard')}/0/data/job/{job.id}.json", auth=login).json()
        assert page["status"] == "finished"
        assert job.return_value() in page["result"]
        metrics = httpx.get(f"{stack.url('rq_exporter')}/metrics").text
        assert 'function="rqmon.demo.jobs.work_for",outcome="succeeded"' in metrics
