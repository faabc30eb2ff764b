"""A dashboard with its own Valkey for each module, and jobs to show."""

import pytest
from rq import Queue
from rq.registry import FailedJobRegistry

from tests.jobs import pid
from tests.processes.rq_dashboard_process import Dashboard, Valkey
from tests.servers import wait_for


@pytest.fixture(scope="module")
def valkey():
    valkey = Valkey()
    yield valkey
    valkey.stop()


@pytest.fixture(scope="module")
def running(valkey, tmp_path_factory):
    dashboard = Dashboard(valkey, tmp_path_factory.mktemp("dashboard") / "log")
    wait_for(lambda: dashboard.answers() == 200)
    yield dashboard
    assert dashboard.stop() == 0


@pytest.fixture
def dashboard(running, valkey):
    yield running
    valkey.client.flushall()


@pytest.fixture
def failed_jobs(valkey):
    """Makes that many failed jobs of a queue, in two round trips, and returns their ids."""

    def make(count, queue_name="mine"):
        queue = Queue(queue_name, connection=valkey.client)
        jobs = queue.enqueue_many([Queue.prepare_data(pid) for _ in range(count)])
        with valkey.client.pipeline() as pipeline:
            for job in jobs:
                pipeline.hset(job.key, mapping={"status": "failed", "started_at": "x", "ended_at": "x"})
                # Not through the registry, which would save the job as queued.
                pipeline.zadd(FailedJobRegistry(queue=queue).key, {job.id: 1e10})
            pipeline.delete(queue.key)
            pipeline.execute()
        return [job.id for job in jobs]

    return make
