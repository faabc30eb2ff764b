"""The data that the exporter's tests read."""

from datetime import timedelta

import pytest
from rq import Queue, SimpleWorker, Worker

from scheduler import job_scheduler
from scheduler.workers.strategies import InProcessWorker
from tests.jobs import fail, pid


@pytest.fixture
def everything(redis_connection, rq_redis_url):
    """Jobs in every status, odd queue names, and workers that are live, dead, or listen to several queues."""
    first, odd = Queue("first", connection=redis_connection), Queue('od"d\\q', connection=redis_connection)
    for queue in (first, odd):
        queue.enqueue(pid)
        queue.enqueue(fail)
    worker = InProcessWorker([first, odd], connection=redis_connection)
    worker.work(burst=True)
    SimpleWorker([first], connection=redis_connection).work(burst=True)
    for name in ("lives", "other"):
        alive = Worker([first, odd], connection=redis_connection, name=name)
        alive.register_birth()
        alive.set_state("busy" if name == "lives" else "idle")
        alive.heartbeat()
    parent = first.enqueue(pid)
    first.enqueue(pid, depends_on=parent)
    first.enqueue(pid).cancel()
    first.enqueue_in(timedelta(hours=1), pid)
    running = first.enqueue(pid)
    execution = Worker([first], connection=redis_connection, name="runs")
    execution.register_birth()
    execution.prepare_execution(running)
    redis_connection.lrem(first.key, 1, running.id)
    job_scheduler(pid, cron="*/10 * * * *", queue_name="first", cron_id="ten", timezone="Europe/London")
    return rq_redis_url
