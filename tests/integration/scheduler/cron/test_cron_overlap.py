"""overlap="skip": whether the earlier job is still to be done depends on its queue, not only its status."""

from datetime import UTC, datetime, timedelta

import pytest
from rq import Queue
from rq.executions import ExecutionRegistry
from rq.job import Job
from rq.registry import DeferredJobRegistry, ScheduledJobRegistry, StartedJobRegistry

from scheduler import job_scheduler
from scheduler.cron import earlier_jobs
from tests.jobs import pid


@pytest.fixture
def earlier(claimer, queue):
    """Return the job of an entry's first slot."""
    job_scheduler(pid, interval_seconds=60, overlap="skip", queue_name="q", cron_id="x")
    return claim(claimer, minutes=1)


def claim(claimer, *, minutes):
    """Return the job of a slot some minutes from now; None if there is none."""
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    claims = claimer.claim(now=now, clock=now)
    return claims[0].job_id if claims else None


@pytest.fixture
def long_ago(monkeypatch):
    """Make it long enough that a job is nowhere."""
    monkeypatch.setattr(earlier_jobs, "_HANDOVER_SECONDS", 0.0)


def set_status(redis, job, status):
    redis.hset(Job.key_for(job), "status", status)


@pytest.mark.parametrize("status", ["queued", "started", "scheduled", "deferred"])
@pytest.mark.usefixtures("long_ago")
def test_a_job_whose_queue_was_deleted_by_hand_is_in_nobodys_way(claimer, earlier, redis_connection, status):
    set_status(redis_connection, earlier, status)
    redis_connection.delete(Queue("q", connection=redis_connection).key)
    assert claim(claimer, minutes=3)


@pytest.mark.usefixtures("long_ago")
def test_a_job_that_is_gone_is_in_nobodys_way(claimer, earlier, redis_connection):
    redis_connection.delete(Job.key_for(earlier))
    assert claim(claimer, minutes=3)


def put(registry, member):
    registry.connection.zadd(registry.key, {member: 1})


PLACES = {
    "queued": lambda queue, job: queue.connection.rpush(queue.key, job, *(f"later-{n}" for n in range(50))),
    "in a worker's hands": lambda queue, job: queue.connection.rpush(queue.intermediate_queue_key, job),
    "scheduled": lambda queue, job: put(ScheduledJobRegistry(queue=queue), job),
    "deferred": lambda queue, job: put(DeferredJobRegistry(queue=queue), job),
    "started": lambda queue, job: put(StartedJobRegistry(queue=queue), f"{job}:execution"),
    "executed": lambda queue, job: put(ExecutionRegistry(job, connection=queue.connection), "execution"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.usefixtures("long_ago")
def test_a_job_that_is_still_somewhere_is_in_the_way(claimer, earlier, redis_connection, place):
    queue = Queue("q", connection=redis_connection)
    redis_connection.delete(queue.key)
    PLACES[place](queue, earlier)
    set_status(redis_connection, earlier, "started")
    assert claim(claimer, minutes=3) is None
    assert redis_connection.hget("rqmon:ledger:cron:outcomes", "x|skipped") == b"1"


def test_a_job_between_queue_and_worker_is_waited_for_not_overlapped(claimer, earlier, redis_connection):
    redis_connection.delete(Queue("q", connection=redis_connection).key)
    assert claim(claimer, minutes=3) is None
    assert claimer.waiting == {b"x"}
    assert redis_connection.hget("rqmon:ledger:cron:outcomes", "x|skipped") is None  # nothing is decided yet
    set_status(redis_connection, earlier, "finished")
    assert claim(claimer, minutes=3)
    assert claimer.waiting == frozenset()
