"""Each part of the core runs with exactly the rights in docs/reference/redis.md, and uses each of them."""

from datetime import timedelta

import pytest
from rq import Queue
from rq.command import send_shutdown_command, send_stop_job_command
from rq.job import Job

from scheduler import RateLimit, Scheduler, TooManyRequests
from scheduler.ledger import jobs as ledger
from scheduler.workers.strategies import RecordingWorker
from tests import jobs
from tests.redis_rights import CRON_PROGRAM, part_with_its_rights, queue_all_kinds, status
from tests.servers import wait_for


def test_scheduling():
    with part_with_its_rights("scheduling") as held, Scheduler(connection=held.client()) as queue:
        queue.enqueue("q", jobs.pid)
        job = queue.enqueue_in("q", timedelta(hours=1), jobs.pid)
        queue.cron("q", "0 0 * * *", jobs.pid)
        queue.cron("q", "0 1 * * *", jobs.pid)
        assert queue.job(job.id).id == job.id
        assert [*queue.scheduled_jobs()]
        counts = (queue.queued_count("q"), queue.failed_count("q"), queue.scheduled_count("q"))
        assert (*counts, queue.cron_job_count()) == (1, 0, 1, 2)
        plain_jobs(queue.get_queue("q"))
        queue.cancel_cron_jobs()
        queue.purge("q")
        queue.purge("q", "scheduled")
        assert queue.queued_count("q") == 0
        limit = RateLimit("r", "c", 1, 60, connection=held.client())
        with limit:
            pass
        with pytest.raises(TooManyRequests), limit:
            pass
        queue.clear()


def plain_jobs(queue):
    """RQ's own."""
    canceled = queue.enqueue(jobs.pid, at_front=True)
    queue.enqueue(jobs.pid, depends_on=canceled)
    canceled.cancel()
    assert canceled in queue.canceled_job_registry
    canceled.delete()
    once = queue.enqueue(jobs.pid, job_id="once", unique=True, ttl=600)
    assert once.return_value() is None
    assert once.id in queue.job_ids
    assert Job.exists(once.id, connection=queue.connection)
    send_shutdown_command(queue.connection, "nobody")


def test_worker():
    with part_with_its_rights("worker") as held:
        for queues in ("'q'", "'q', 'other'"):
            works_and_stops(held, queues)
            held.admin.flushall()
        for kind in ("RecordingWorker", "InProcessWorker"):
            looks_after_the_dead(held, kind)
            held.admin.flushall()


def works_and_stops(held, queues):
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


def looks_after_the_dead(held, kind):
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
from scheduler.workers.strategies import {kind} as Worker
Worker(["q"], connection=Redis.from_url({held.url!r})).work(burst=True, with_scheduler=True)
"""
    with held.process("-c", command) as process:
        process.wait(60)
    assert status(held, dead) == "failed"
    assert queue.count == 0


def test_cron():
    with part_with_its_rights("cron") as held:
        queue = Queue("crons", connection=held.admin)
        for program in (CRON_PROGRAM, CRON_PROGRAM, CRON_PROGRAM.replace("yearly", "changed")):
            before = queue.count
            with held.process("-c", program):
                wait_for(lambda before=before: queue.count > before + 1, seconds=30)
