"""Producers, workers and this host that don't fit together, as the doctor names it; and what it costs."""

import time

import pytest
from redis import Redis
from redis.connection import Connection
from rq import Queue, Worker

from rqmon.doctor import gathering
from rqmon.doctor.examine import examine
from rqmon.doctor.finding import Severity
from scheduler.serializers import Json
from tests.doctor import found, is_found
from tests.jobs import echo, pid


@pytest.mark.parametrize(("written", "configured"), [("pickle", "json"), ("json", "pickle")])
def test_waiting_jobs_of_another_serializer(redis_connection, written, configured):
    queue = Queue("q", connection=redis_connection, serializer=Json if written == "json" else None)
    job = queue.enqueue(echo, "x" * 1_000)
    fact = f"1 of 1 waiting job looked at is written with {written}, and RQ_SERIALIZER is {configured} here."
    it = found(redis_connection, fact, serializer=configured)
    assert (it.severity, it.command) == (Severity.BROKEN, f".venv/bin/rqmon why {job.id}")
    assert not is_found(redis_connection, "written with", serializer=written)


def test_queues_under_another_prefix(redis_connection):
    Queue("q", connection=redis_connection).enqueue(pid)
    redis_connection.sadd("crowd:queues", "another program's")
    assert not is_found(redis_connection, "prefix")
    redis_connection.sadd("staging:queues", "staging:queue:q")
    it = found(redis_connection, "RQ queues are also under the key prefix staging; here it is rq.")
    assert it.severity == Severity.WARNING


def test_queues_in_another_database(redis_connection, rq_redis_url):
    with Redis.from_url(rq_redis_url.removesuffix("/0") + "/3") as other:
        Queue("q", connection=other).enqueue(pid)
        assert found(redis_connection, "There is no queue here, and this Redis has keys in db3.")
        assert not is_found(other, "There is no queue here")
        other.flushdb()


def test_workers_with_different_versions(redis_connection):
    for name, version in (("old", "1.16.2"), ("older", "1.9.0")):
        Worker(["q"], connection=redis_connection, name=name).register_birth()
        redis_connection.hset(f"rq:worker:{name}", "version", version)
    it = found(
        redis_connection, "Workers run different versions of RQ: 1.16.2 (1 worker) and 1.9.0 (1 worker)."
    )
    assert it.command.startswith("pip install rq==1.16.2")
    redis_connection.hset("rq:worker:older", "version", "1.16.2")
    assert found(redis_connection, "All workers run RQ 1.16.2, and here it is")


@pytest.mark.parametrize("queues", [10, 1_000])
def test_its_round_trips_are_few_at_any_size(redis_connection, monkeypatch, queues, record_property):
    with redis_connection.pipeline(transaction=False) as pipe:
        for number in range(queues):
            queue = Queue(f"q{number}", connection=redis_connection)
            job = queue.enqueue(pid, pipeline=pipe)
            pipe.zadd(f"rq:failed:q{number}", {job.id: 1})
            pipe.zadd(f"rq:scheduled:q{number}", {job.id: 1})
            pipe.zadd(f"rq:wip:q{number}", {f"{job.id}:x": 1})
            pipe.zadd(f"rq:deferred:q{number}", {job.id: 1})
        pipe.execute()
    for number in range(queues // 5):
        Worker([f"q{number}"], connection=redis_connection, name=f"w{number}").register_birth()
    sent = []
    send = Connection.send_packed_command

    def counted(self, *args, **options):
        sent.append(1)
        return send(self, *args, **options)

    monkeypatch.setattr(Connection, "send_packed_command", counted)
    started = time.monotonic()
    facts = gathering.take(redis_connection, serializer="pickle")
    found_ = examine(facts, now=facts.snapshot.taken_at)
    seconds = time.monotonic() - started
    trips = len(sent) + 3  # those of the snapshot go another way
    record_property("summary", f"doctor: {queues} queues in {seconds:.2f} s and {trips} round trips")
    assert trips <= 12
    assert any(f"in {queues:,}" in it.fact or "No worker listens" in it.fact for it in found_)
    assert len(found_) < 20  # however many there are of a kind
