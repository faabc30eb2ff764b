"""What anybody may have written to Redis: the doctor goes on, and says what it can."""

import zlib

import pytest
from rq import Queue, Worker

from rqmon.why import lookup
from rqmon.why.answers import answer
from scheduler import job_scheduler
from scheduler.cron.heartbeats import PROCESSES
from scheduler.cron.store.keys import DATA, NEXT, PAUSED, SPECS
from scheduler.ledger.jobs import COUNTS
from scheduler.workers.strategies import InProcessWorker
from tests.doctor import findings, found
from tests.jobs import fail, pid

ODD = [
    b"",
    b"\xff\xfe",
    b"nan",
    b"inf",
    b"-1",
    b"9" * 5_000,
    b"[" * 50_000,
    b'["\\ud83d"]',
    b"\x1b[2J|%s{}*[",
    b"null",
]
STATUSES = [
    b"queued",
    b"scheduled",
    b"deferred",
    b"started",
    b"finished",
    b"failed",
    b"stopped",
    b"rate_limited",
]


@pytest.fixture
def job(redis_connection):
    """A failed job and one that waits, a worker, a cron entry: whose fields are then odd."""
    queue = Queue("q", connection=redis_connection)
    queue.enqueue(fail)
    InProcessWorker([queue], connection=redis_connection).work(burst=True)
    Worker([queue], connection=redis_connection, name="w").register_birth()
    job_scheduler(pid, cron="* * * * *", cron_id="entry", queue_name="q")
    return queue.enqueue(pid)


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_odd_values_cost_themselves_alone(redis_connection, job, odd):
    waits = Queue("waits", connection=redis_connection).enqueue(pid)
    for field in (
        b"started_at",
        b"timeout",
        b"enqueued_at",
        b"data",
        b"exc_info",
        b"dependency_ids",
        b"worker_name",
    ):
        redis_connection.hset(job.key, field, odd)
    for field in (b"last_heartbeat", b"pid", b"state", b"version", b"queues", b"hostname"):
        redis_connection.hset("rq:worker:w", field, odd)
    for key in ("rq:failed:q", "rq:deferred:q", "rq:scheduled:q", "rq:wip:q"):
        redis_connection.zadd(key, {odd: 1, job.id: float("inf"), f"{job.id}:x": -5})
    redis_connection.rpush("rq:queue:q:intermediate", odd)
    redis_connection.xadd(f"rq:results:{job.id}", {"exc_string": odd})
    redis_connection.sadd(odd + b":queues", odd + b":queue:q")
    redis_connection.rpush(b"rqmon:rate-limit:" + odd, 1)
    for key in (SPECS, DATA, PROCESSES, COUNTS):
        redis_connection.hset(key, odd, odd)
    redis_connection.zadd(NEXT, {odd: float("inf"), "entry": -1e300})
    redis_connection.sadd(PAUSED, odd)
    said = findings(redis_connection)
    assert [it.cause for it in said if "The check" in it.fact] == []
    assert any("No worker listens to" in it.fact and "waits" in it.fact for it in said)
    for status in [*STATUSES, odd]:
        redis_connection.hset(job.key, "status", status)
        assert answer(lookup.take(redis_connection, job.id, serializer="pickle", has_stack=False)).answer
    assert waits.get_status() == "queued"


@pytest.mark.parametrize("kind", ["string", "list", "stream", "hash"])
def test_keys_that_hold_something_else_cost_themselves_alone(redis_connection, job, kind):
    waits = Queue("waits", connection=redis_connection).enqueue(pid)
    write = {
        "string": lambda key: redis_connection.set(key, "x"),
        "list": lambda key: redis_connection.rpush(key, "x"),
        "stream": lambda key: redis_connection.xadd(key, {"x": "x"}),
        "hash": lambda key: redis_connection.hset(key, "x", "x"),
    }[kind]
    names = [
        "failed",
        "deferred",
        "scheduled",
        "wip",
        "finished",
        "canceled",
        "workers",
        "scheduler-lock",
        "registry",
    ]
    keys = [f"rq:{name}:q" for name in names] + ["rq:queue:q:intermediate", f"rq:results:{job.id}", job.key]
    for key in [
        *keys,
        "rq:worker:w",
        "x:queues",
        "rqmon:rate-limit:x",
        SPECS,
        DATA,
        NEXT,
        PAUSED,
        PROCESSES,
        COUNTS,
    ]:
        redis_connection.delete(key)
        write(key)
    said = findings(redis_connection)
    assert [it.cause for it in said if "The check" in it.fact] == []
    assert any("No worker listens to" in it.fact and "waits" in it.fact for it in said)
    assert answer(lookup.take(redis_connection, job.id, serializer="pickle", has_stack=False)).answer
    assert (
        answer(lookup.take(redis_connection, waits.id, serializer="pickle", has_stack=False)).status
        == "queued"
    )


def test_a_bomb_in_a_job_is_not_unpacked(redis_connection, job):
    redis_connection.hset(job.key, "data", zlib.compress(bytes(60_000_000), 9))
    it = found(redis_connection, "1 of 1 waiting job looked at is written with another serializer")
    assert it.command == f".venv/bin/rqmon why {job.id}"


def test_a_thousand_of_a_kind_are_one_line_more(redis_connection):
    for number in range(20):
        Worker(["q"], connection=redis_connection, name=f"w{number:02}").register_birth()
        redis_connection.pexpire(f"rq:worker:w{number:02}", 10_000)
    silent = [it.fact for it in findings(redis_connection, later=100) if "has sent no heartbeat" in it.fact]
    facts = [it.fact for it in findings(redis_connection, later=100)]
    assert (len(silent), "15 more like the one before." in facts) == (5, True)
