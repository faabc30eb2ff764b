"""What the ledger and cron offer to programs that show them: commands, and readers of the answers."""

import json

from rq import Queue

from scheduler import RateLimit, job_scheduler
from scheduler.cron import heartbeats
from scheduler.cron.heartbeats import Heart
from scheduler.cron.store import overview
from scheduler.cron.store.overview import EntryLabels
from scheduler.ledger import cron as cron_counts
from scheduler.ledger import job_counts, rate_limits
from scheduler.ledger.reading import Histogram
from scheduler.workers.strategies import InProcessWorker
from tests.jobs import pid


def ask(connection, commands):
    """Return the answers as mappings, in the order of the commands, over either protocol."""
    answers = [connection.execute_command(*command) for command in commands.values()]
    return [
        dict(answer if isinstance(answer, dict) or not isinstance(answer[0], bytes) else batched(answer))
        for answer in answers
    ]


def batched(flat):
    return zip(flat[::2], flat[1::2], strict=True)


def test_each_owner_of_keys_asks_for_them_and_reads_the_answers(redis_connection):
    queue = Queue("q", connection=redis_connection)
    queue.enqueue(pid)
    InProcessWorker([queue], connection=redis_connection).work(burst=True)
    with RateLimit("api", "me", 1, 60, connection=redis_connection):
        pass
    job_scheduler(pid, cron="0 9 * * *", queue_name="q", cron_id="nine", timezone="Europe/London")
    redis_connection.hset("rqmon:ledger:cron:outcomes", "nine|ran", 2)
    redis_connection.hset("rqmon:ledger:cron:last", "nine", 5)
    redis_connection.hset("rqmon:ledger:cron:lateness", mapping={"60": 1, "60.0": 1, "sum": 7.5})
    heart = Heart(redis_connection, version="1")
    heart.worked()
    heart.beat({})
    now = redis_connection.time()[0]

    jobs = job_counts.parse(*ask(redis_connection, job_counts.COMMANDS))
    assert jobs.outcomes == {("q", "tests.jobs.pid", "succeeded"): 1}
    limits = rate_limits.parse(*ask(redis_connection, rate_limits.COMMANDS))
    assert limits.requests == {("api", "admitted"): 1}
    cron = cron_counts.parse(*ask(redis_connection, cron_counts.COMMANDS))
    assert (cron.outcomes, cron.last) == ({"nine": {"ran": 2}}, {"nine": 5.0})
    assert cron.lateness == Histogram({60.0: 2}, 7.5)
    entries = overview.parse(*ask(redis_connection, overview.COMMANDS))
    assert entries.entries == {"nine": EntryLabels("tests.jobs.pid", "q", "0 9 * * *", "Europe/London")}
    assert [*entries.next] == ["nine"]
    [process] = heartbeats.parse(*ask(redis_connection, heartbeats.COMMANDS), now=now).live.values()
    assert process.is_working(now)
    for read in (jobs, limits, cron, entries):
        assert read.unreadable == ()


def test_an_overview_names_what_it_cant_read_and_shows_the_rest():
    spec = {"function": "f", "queue_name": 7, "schedule": {"interval_seconds": 60, "timezone": "UTC"}}
    specs = {b"a": json.dumps(spec).encode(), b"b": b"[]", b"c": b"{", b"\xff": b"{}"}
    read = overview.parse(specs, {b"a": b"1", b"b": b"inf"})
    assert read.entries == {"a": EntryLabels("f", None, "every 60 s", "UTC")}
    assert read.next == {"a": 1.0}
    assert read.unreadable == (
        "cron entry b'a' queue",
        "cron entry b'b'",
        "cron entry b'c'",
        r"cron entry b'\xff'",
        "cron next b'b'",
    )
