"""The exporter with keys and values that are not in the form that RQ and this project write."""

import json
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from rq import Queue
from rq.job import Job

from rqmon.exporter.collector import collect
from rqmon.exporter.exposition import Family, labels, sample, write
from rqmon.exporter.reading import info, reader, unaccounted
from rqmon.exporter.reading.pipeline import RoundTrips
from rqmon.exporter.reading.registries import timestamp
from rqmon.metrics import METRICS
from scheduler.ledger import cron as cron_ledger
from tests.processes.exporter_process import exporter, samples, value

# Key, its reported name, field, and value.
MALFORMED = (
    ("rqmon:ledger:jobs:counts", "jobs", "wait|foo|f|q", "1"),
    ("rqmon:ledger:jobs:counts", "jobs", "wait|nan|f|q", "1"),
    ("rqmon:ledger:jobs:counts", "jobs", "run|-1|f|q", "1"),
    ("rqmon:ledger:jobs:counts", "jobs", "outcome|succeeded|f|q", "1e+400"),
    ("rqmon:ledger:jobs:counts", "jobs", "run_sum||f|q", "1e+400"),
    ("rqmon:ledger:jobs:counts", "jobs", "outcome|odd|f|q", "1"),
    ("rqmon:ledger:jobs:counts", "jobs", "retry|||q", "-1"),
    ("rqmon:ledger:jobs:counts", "jobs", "odd|||q", "1"),
    ("rqmon:ledger:jobs:counts", "jobs", "outcome", "1"),
    ("rqmon:ledger:jobs:counts", "jobs", b"outcome|succeeded|f|\xff", "1"),
    ("rqmon:ledger:cron:lateness", "cron lateness", b"\xff", "1"),
    ("rqmon:ledger:cron:outcomes", "cron outcomes", b"\xff|ran", "1"),
    ("rqmon:ledger:cron:outcomes", "cron outcomes", "ten|ran", "1e+400"),
    ("rqmon:ledger:cron:outcomes", "cron outcomes", "ran", "1"),
    ("rqmon:cron:specs", "cron entry", "c", "[" * 100_000),
    ("rqmon:cron:specs", "cron entry", b"\xff", "{}"),
    ("rqmon:ledger:rate-limits", "rate limits", "admitted|a", "1e+999"),
    ("rqmon:ledger:rate-limits", "rate limits", "admitted", "1"),
    ("rqmon:cron:processes", "cron process", "host:1", "[" * 100_000),
    ("rqmon:cron:processes", "cron process", "host:2", '{"heartbeat": 1e400}'),
    ("rqmon:ledger:cron:lateness", "cron lateness", "foo", "1"),
)


def page(taken):
    """Return the page of one snapshot, which must be valid OpenMetrics."""
    families = collect(taken, base={}, bounds=(1.0,), seconds=0.1)
    assert list(openmetrics(write(families, openmetrics=True).decode() + "# EOF\n"))
    return write(families, openmetrics=False).decode()


@pytest.mark.parametrize(
    ("key", "command", "unreadable"),
    [
        ("rq:worker:lives", ("set",), "worker lives"),
        ("rq:wip:first", ("set",), "queue first"),
        ("rqmon:ledger:jobs:counts", ("set",), "jobs"),
        ("rqmon:cron:specs", ("hset", "ten", "{"), "cron entry b'ten'"),
        ("rqmon:ledger:cron:last", ("hset", "ten", "x"), "cron last b'ten'"),
        ("rqmon:ledger:cron:outcomes", ("hset", "ten|ran", "x"), "cron outcomes b'ten|ran'"),
        ("rqmon:ledger:rate-limits", ("hset", "admitted|a", "x"), "rate limits b'admitted|a'"),
        ("rqmon:cron:processes", ("hset", "host:1", '{"heartbeat": "x"}'), "cron process b'host:1'"),
        *(
            (key, ("hset", field, text), f"{what} {field.encode() if isinstance(field, str) else field!r}")
            for key, what, field, text in MALFORMED
        ),
        ("rq:scheduled:first", ("zadd", "job", "-inf"), "scheduled job b'job'"),
    ],
)
def test_a_malformed_key_costs_its_own_samples_alone(everything, redis_connection, key, command, unreadable):
    before = reader.take(redis_connection)
    if command[0] == "set":
        redis_connection.set(key, "x")
    elif command[0] == "zadd":
        redis_connection.zadd(key, {command[1]: command[2]})
    else:
        redis_connection.hset(key, *command[1:])
    taken = reader.take(redis_connection)
    assert taken.unreadable == (unreadable,)
    assert len(taken.queues) == len(before.queues)
    assert len(taken.workers) == len(before.workers) - (unreadable == "worker lives")
    assert value(page(taken), "rq_redis_up") == 1
    assert taken.unreadable == (unreadable,)


def test_malformed_keys_are_counted_and_the_page_is_served(everything, redis_connection):
    for key, _, field, text in MALFORMED:
        redis_connection.hset(key, field, text)
    with exporter(everything) as process:
        before, after = process.scrape(), process.scrape()
        assert process.get("/healthz").status_code == 200
    errors = [value(text, "rq_scrape_errors_total", reason="key") for text in (before, after)]
    assert errors[1] - errors[0] == len(MALFORMED)
    assert value(after, "rq_redis_up") == 1
    assert value(after, "rq_jobs", queue="first", status="started") == 1


@pytest.mark.parametrize(
    ("field", "metric"),
    [
        ("successful_job_count", "rq_workers_success_total"),
        ("failed_job_count", "rq_workers_failed_total"),
        ("total_working_time", "rq_workers_working_time_total"),
        ("last_heartbeat", ""),  # the page has the oldest of all workers' heartbeats
    ],
)
def test_a_malformed_field_of_a_worker_costs_that_field_alone(everything, redis_connection, field, metric):
    def keys(text):
        return {key for key in samples(text) if key[0].startswith(("rq_worker", "rq_queue_workers"))}

    before = keys(page(reader.take(redis_connection)))
    for junk in ("x", "nan", "-0.5", "1e999", b"\xff", "0001-01-01T00:00:00"):
        redis_connection.hset("rq:worker:lives", field, junk)
        taken = reader.take(redis_connection)
        assert taken.unreadable == (f"worker lives {field}",), junk
        lost = before - keys(page(taken))
        assert {(name, dict(labels)["name"]) for name, labels in lost} == (
            {(metric, "lives")} if metric else set()
        )


@pytest.mark.parametrize(
    ("field", "lost"),
    [("function", {"function"}), ("queue_name", {"queue"}), ("schedule", {"schedule", "timezone"})],
)
def test_a_malformed_field_of_a_cron_entry_costs_that_field_alone(everything, redis_connection, field, lost):
    spec = json.loads(redis_connection.hget("rqmon:cron:specs", "ten"))
    whole = reader.take(redis_connection).cron.entries["ten"]
    for junk in ("\ud800", [], None, 7):
        if (field, junk) == ("schedule", "\ud800"):
            junk = {"cron": junk, "timezone": junk}
        redis_connection.hset("rqmon:cron:specs", "ten", json.dumps({**spec, field: junk}))
        taken = reader.take(redis_connection)
        assert taken.cron.entries["ten"] == whole._replace(**dict.fromkeys(lost)), junk
        assert taken.unreadable
        [shown] = [dict(labels) for name, labels in samples(page(taken)) if name == "rq_cron_entry_info"]
        assert {name for name, text in shown.items() if text == "?"} == lost, junk


def test_malformed_info_costs_its_own_samples_alone(redis_connection):
    given = b"used_memory:nan\r\naof_last_write_status:ok\r\ndb0:keys=7,expires=0\r\ndb7:keys=x,expires=0\r\n"
    read, unreadable = info.parse(given)
    assert unreadable == ["info used_memory", "info db7"]
    text = page(replace(reader.take(redis_connection), info=read))
    assert value(text, "rq_redis_up") == value(text, "rq_redis_last_write_ok", kind="aof") == 1
    assert value(text, "rq_redis_keys", db="0") == 7
    assert 'db="7"' not in text
    assert "rq_redis_memory_used_bytes" not in text


def test_names_that_are_no_text_are_told_apart(redis_connection):
    redis_connection.sadd("rq:queues", b"rq:queue:\xff", b"rq:queue:\xfe", "first")
    redis_connection.sadd("rq:workers", b"rq:worker:\xff")
    redis_connection.hset(b"rq:worker:\xff", mapping={"state": "idle", "queues": b"\xff,\xfe"})
    redis_connection.rpush(b"rq:queue:\xff", "a", "b")
    redis_connection.rpush(b"rq:queue:\xff:intermediate", "c")
    redis_connection.zadd(b"rq:scheduled:\xfe", {"d": 1})
    redis_connection.hset("rq:job:a", "enqueued_at", "2026-01-01T00:00:00Z")
    taken = reader.take(redis_connection)
    assert taken.unreadable == ("queues b'first'",)
    text = page(taken)
    assert value(text, "rq_jobs", queue=r"\xff", status="queued") == 2
    assert value(text, "rq_jobs", queue=r"\xfe", status="queued") == 0
    assert value(text, "rq_queue_intermediate_jobs", queue=r"\xff") == 1
    assert value(text, "rq_queue_scheduled_overdue_jobs", queue=r"\xfe") == 1
    assert value(text, "rq_queue_oldest_job_age_seconds", queue=r"\xff") > 0
    assert value(text, "rq_queue_workers", queue=r"\xff") == 1
    assert r'rq_workers{name="\\xff",state="idle",queues="\\xff,\\xfe"} 1' in text
    redis_connection.sadd("rq:queues", b"rq:queue:\\xff")  # is shown like that other one
    taken = reader.take(redis_connection)
    assert taken.unreadable == ("queues b'first'", r"queues b'rq:queue:\xff'")
    page(taken)


def test_a_bucket_is_one_however_it_is_written(redis_connection):
    counts = {"run|60|f|q": 1, "run|60.0|f|q": 2, "run|+Inf|f|q": 1, "run_sum||f|q": 200}
    redis_connection.hset("rqmon:ledger:jobs:counts", mapping=counts)
    text = page(reader.take(redis_connection))
    assert value(text, "rq_job_run_seconds_bucket", queue="q", function="f", le="60.0") == 3
    assert value(text, "rq_job_run_seconds_count", queue="q", function="f") == 4


def test_cron_outcomes_that_cannot_be_read_are_left_out():
    given = {b"\xff|ran": b"1", b"ran": b"1", b"a|ran": b"1e+400", b"a|late": b"2"}
    assert cron_ledger.parse(given, {}, {}).outcomes == {"a": {"late": 2}}


def test_half_a_character_does_not_cost_the_page():
    line = sample(METRICS[1].name, labels({"name": "\ud800", "state": "x"}), 1)
    assert rb'name="\ud800"' in write([Family(METRICS[1], (line,))], openmetrics=False)


@pytest.mark.parametrize("id_", ["j[0", "j*", "j?", "j\\0", "plain"])
def test_a_job_is_looked_for_by_its_own_id(redis_connection, id_):
    search = unaccounted.sampled(
        f"rq:job:{id_}".encode(), [b"started", b"q", None], now=0, prefix="rq:queue:", lengths={}
    )

    def lost():
        with RoundTrips(redis_connection, seconds=5) as trips:
            return search.lost(trips.ask(search.commands, answers=len(search.commands)))

    redis_connection.hset(f"rq:job:{id_}", "status", "started")
    redis_connection.zadd("rq:wip:q", {"jx:execution": 1})
    assert lost()
    redis_connection.zadd("rq:wip:q", {f"{id_}:execution": 1})
    assert not lost()


ENDS = [("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"), ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z")]


@pytest.mark.parametrize(
    ("head", "tail", "oldest", "unreadable"),
    [
        *((head, tail, "2026-01-01T00:00:00Z", []) for head, tail in ENDS),
        (None, "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", []),
        ("2026-01-02T00:00:00Z", None, "2026-01-02T00:00:00Z", []),
        (None, None, None, []),  # their ttl ended in the queue
        ("x", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", ["oldest job of q"]),
    ],
)
def test_the_oldest_job_is_the_older_of_both_ends(redis_connection, head, tail, oldest, unreadable):
    Queue("q", connection=redis_connection)
    redis_connection.sadd("rq:queues", "rq:queue:q")
    redis_connection.rpush("rq:queue:q", "head", *(f"between-{number}" for number in range(20)), "tail")
    for id_, text in (("head", head), ("tail", tail)):
        if text:
            redis_connection.hset(Job.key_for(id_), "enqueued_at", text)
    taken = reader.take(redis_connection)
    assert taken.queues[0].oldest_enqueued_at == (timestamp(oldest.encode()) if oldest else None)
    assert list(taken.unreadable) == unreadable
    assert ("rq_queue_oldest_job_age_seconds" in page(taken)) == bool(oldest)
