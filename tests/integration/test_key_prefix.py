"""What the programs show with another RQ_KEY_PREFIX is what they show without."""

import json
import os
import subprocess
import sys
from pathlib import Path

from rq import defaults

from tests.processes.exporter_process import exporter, samples

ROOT = Path(__file__).parents[2]
# Braces are a hash tag of Redis Cluster, and the templates of RQ's keys have them too. RQ 2 has no prefix.
PREFIX = "{acme}" if hasattr(defaults, "RQ_KEY_PREFIX") else "rq"
# In the names of metrics that differ from one scrape to the next.
CHANGES = ("redis", "seconds", "_created", "_sampled")
SCENARIO = """
import json
from datetime import UTC, datetime, timedelta

from rq import Worker
from rq.executions import Execution
from rq.registry import StartedJobRegistry

from scheduler import RecordingWorker, Scheduler, job_scheduler
from scheduler.cron.claims import Claimer
from scheduler.ledger import jobs as ledger
from tests.jobs import fail, pid

with Scheduler("burst-no-fork") as scheduler:
    queue = scheduler.get_queue("q")
    connection = queue.connection
    job_scheduler(pid, cron="* * * * *", queue_name="q", cron_id="minutely", late_after_seconds=3600)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    slots = len(Claimer(connection).claim(now=soon, clock=soon))
    ran = job_scheduler(pid, queue_name="q")
    job_scheduler(fail, queue_name="q", max_retries=None)
    scheduler.work("q")

    lost = scheduler.enqueue("q", pid)
    dead = RecordingWorker([queue], connection=connection, name="dead")
    dead.prepare_execution(lost)
    reaped_early = ledger.reap(connection)
    [token] = StartedJobRegistry(queue=queue).get_job_and_execution_ids()
    execution = Execution(token[1], token[0], connection=connection)
    connection.delete(execution.key, StartedJobRegistry(queue=queue).key)
    reaped = ledger.reap(connection)

    job_scheduler(pid, queue_name="q", time_delta=timedelta(hours=1))
    scheduler.enqueue("q", pid, depends_on=scheduler.enqueue("q", pid))
    alive = Worker([queue], connection=connection, name="alive")
    alive.register_birth()
    alive.heartbeat()
    print(json.dumps([slots, ran.is_finished, reaped_early, reaped]))
"""
PAGE = """
from base64 import b64encode
from rqmon.guarded_rq_dashboard.app import create_app
from rqmon.guarded_rq_dashboard.settings import DashboardSettings

app = create_app(DashboardSettings.from_env())
login = {"Authorization": "Basic " + b64encode(b"rq:s3cret").decode(), "Host": "127.0.0.1"}

def data(path):
    answer = app.test_client().get(f"/0/data/{path}.json", headers=login)
    assert answer.status_code == 200, answer.text
    return answer.json

for queue in data("queues")["queues"]:
    print(queue["name"], queue["count"], queue["failed_job_registry_count"])
print([(worker["name"], worker["queues"]) for worker in data("workers")["workers"]])
print([job["exc_info"].splitlines()[-1] for job in data("jobs/q/failed/8/asc/1")["jobs"]])
"""


def shown(url, **variables):
    """What a run of jobs did, and what each program says of it."""
    environment = {**os.environ, "RQ_REDIS_URL": url, "RQ_DASHBOARD_PASSWORD": "s3cret", **variables}

    def run(*arguments):
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    did = json.loads(run("-c", SCENARIO).splitlines()[-1])  # RQ logs to stdout
    with exporter(url, **variables) as process:
        scraped = {
            sample: value
            for sample, value in samples(process.scrape()).items()
            if sample[0].startswith("rq_") and not any(part in sample[0] for part in CHANGES)
        }
    said = [
        run("-c", PAGE),
        run("manage.py", "rq_health_check", "--queue", "q"),
        run("manage.py", "purge_queue", "q", "--queue_state", "failed"),
        run("manage.py", "purge_queue", "q"),
    ]
    return did, scraped, said


def test_all_that_names_rqs_keys_asks_for_their_prefix(rq_redis_url, redis_connection):
    did, scraped, said = shown(rq_redis_url)
    assert did == [1, True, 0, 1]
    assert sum(value for (name, _), value in scraped.items() if name == "rq_jobs_processed_total") == 4
    assert said[1:] == [
        "1 live worker listens to q.\n",
        "Deleted 1 failed job of q.\n",
        "Deleted 2 queued jobs of q.\n",
    ]
    redis_connection.flushdb()
    did_too, scraped_too, said_too = shown(rq_redis_url, RQ_KEY_PREFIX=PREFIX)
    assert (did_too, said_too) == (did, said)
    assert set(scraped_too.items()) ^ set(scraped.items()) == set()
    left = {key.partition(b":")[0].decode() for key in redis_connection.scan_iter()}
    assert left == {PREFIX, "rqmon"}


def test_a_prefix_that_comes_too_late_is_refused(rq_redis, tmp_path):
    (tmp_path / ".env").write_text("RQ_KEY_PREFIX=late\n")
    environment = {**os.environ, "RQMON_ENV_FILE": str(tmp_path / ".env")}
    command = [sys.executable, "manage.py", "purge_queue", "q"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "manage.py: RQ_KEY_PREFIX is 'late', and RQ" in done.stderr
    assert "not from .env" in done.stderr
