"""The exporter with far too much data: a bounded page with the largest, the rest counted."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rq import Queue

from rqmon.exporter.collector import collect
from rqmon.exporter.exposition import write
from rqmon.exporter.reading import cron, reader
from scheduler.ledger.jobs import MAX_NAMES, MAX_PAIRS
from tests.processes.exporter_process import exporter, samples, value

SHOWN = MAX_PAIRS + MAX_NAMES + 1


def page(taken):
    return write(collect(taken, base={}, bounds=(1.0,), seconds=0.1), openmetrics=False).decode()


def test_the_largest_of_50_000_pairs_are_shown(redis_connection, rq_redis_url):
    fields = {}
    for queue in range(500):
        for function in range(100):
            where = f"app.f{function}|t{queue}"
            number = queue * 100 + function + 1
            fields[f"outcome|succeeded|{where}"] = number
            fields[f"wait|0.1|{where}"] = number
            fields[f"wait_sum||{where}"] = fields[f"run_sum||{where}"] = 1
            fields[f"run|1|{where}"] = number
    redis_connection.hset("rqmon:ledger:jobs:counts", mapping=fields)
    with exporter(rq_redis_url) as process:
        text = process.scrape(seconds=10)  # the exporter's own work, on a busy machine
    assert value(text, "rq_redis_up") == 1
    assert value(text, "rq_left_out", what="pairs") == 50_000 - SHOWN
    assert value(text, "rq_left_out", what="failures") == 0
    shown = [
        number
        for (name, labels), number in samples(text).items()
        if name == "rq_jobs_processed_total" and ("outcome", "succeeded") in labels
    ]
    assert sorted(shown) == [*range(50_000 - SHOWN + 1, 50_001)]
    assert len(text) < 10 << 20


def test_the_largest_failures_and_resources_are_shown(redis_connection):
    failures = {f"failure|app.E{number}||q": number for number in range(SHOWN + 7)}
    resources = {f"admitted|r{number}": number for number in range(MAX_NAMES + 8)}
    redis_connection.hset("rqmon:ledger:jobs:counts", mapping={**failures, "retry|||q": 3})
    redis_connection.hset("rqmon:ledger:rate-limits", mapping=resources)
    taken = reader.take(redis_connection)
    assert taken.left_out == {"pairs": 0, "failures": 7, "resources": 7, "entries": 0, "queues": 0}
    assert min(taken.jobs.failures.values()) == 7
    assert min(taken.rate_limits.requests.values()) == 7
    assert taken.jobs.retries == {"q": 3}


def test_what_the_ledger_has_bounded_is_never_cut(redis_connection):
    pairs = {f"outcome|failed|f{number}|q": 1 for number in range(MAX_PAIRS)}
    others = {f"outcome|failed|other|q{number}": 1 for number in range(MAX_NAMES + 1)}
    redis_connection.hset("rqmon:ledger:jobs:counts", mapping={**pairs, **others})
    assert reader.take(redis_connection).left_out["pairs"] == 0


def test_the_cron_entries_with_the_most_trouble_are_shown(redis_connection, monkeypatch):
    monkeypatch.setattr(cron, "MAX_ENTRIES", 10)
    spec = json.dumps(
        {"function": "f", "queue_name": "q", "schedule": {"cron": "* * * * *", "timezone": "UTC"}}
    )
    names = [f"e{number:02}" for number in range(20)]
    redis_connection.hset("rqmon:cron:specs", mapping=dict.fromkeys(names, spec))
    redis_connection.zadd("rqmon:cron:next", dict.fromkeys(names, 1000000000.0))
    redis_connection.hset("rqmon:ledger:cron:last", mapping=dict.fromkeys(names, 1e9))
    ran = {f"{name}|ran": number for number, name in enumerate(names)}
    redis_connection.hset("rqmon:ledger:cron:outcomes", mapping={**ran, "e00|missed": 1, "gone|late": 2})
    taken = reader.take(redis_connection)
    assert taken.left_out["entries"] == 11
    text = page(taken)
    assert value(text, "rq_cron_entries") == 20
    for name in ("rq_cron_entry_info", "rq_cron_next_run_timestamp_seconds", "rq_cron_slots_total"):
        shown = {dict(labels)["entry"] for sample, labels in samples(text) if sample == name}
        assert shown - {"gone"} == {"e00", *names[12:]}


def test_the_queues_that_hold_the_most_are_shown(redis_connection, monkeypatch):
    monkeypatch.setattr(reader, "MAX_QUEUES", 3)
    monkeypatch.setattr(reader, "MAX_QUEUES_ASKED", 8)
    for number in range(10):
        redis_connection.sadd(Queue.redis_queues_keys, f"rq:queue:q{number}")
        redis_connection.zadd(f"rq:finished:q{number}", {f"j{job}": 9e9 for job in range(number + 1)})
    taken = reader.take(redis_connection)
    assert [queue.name for queue in taken.queues] == ["q5", "q6", "q7"]
    assert taken.left_out["queues"] == 7
    assert value(page(taken), "rq_left_out", what="queues") == 7


def test_so_many_queues_are_read(redis_connection, rq_redis_url):
    with redis_connection.pipeline(transaction=False) as pipe:
        for number in range(reader.MAX_QUEUES + 2000):
            pipe.sadd(Queue.redis_queues_keys, f"rq:queue:q{number}")
        pipe.execute()
    with exporter(rq_redis_url) as process:
        text = process.scrape(seconds=10)
    assert value(text, "rq_redis_up") == 1
    assert value(text, "rq_left_out", what="queues") == 2000


@pytest.mark.parametrize("characters", [251, 1 << 20])
def test_a_name_is_cut_and_stays_itself(redis_connection, characters):
    for end in "ab":
        redis_connection.sadd(Queue.redis_queues_keys, "rq:queue:" + "n" * characters + end)
    text = page(reader.take(redis_connection))
    names = {
        sample.labels["queue"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "rq_jobs"
    }
    assert {len(name) for name in names} == {250}
    assert len(names) == 2


def test_what_is_unreadable_is_logged_once_and_not_without_end(redis_connection, rq_redis_url):
    junk = {f"outcome|succeeded|f{number}|q": "x" for number in range(100)}
    redis_connection.hset("rqmon:ledger:jobs:counts", mapping=junk)
    with exporter(rq_redis_url) as process:
        counts = [value(process.scrape(), "rq_scrape_errors_total", reason="key") for _ in range(2)]
        process.terminate()
        process.wait()
        log = process.stderr.read().decode()
    assert counts[1] - counts[0] == 100
    assert log.count('"key_unreadable"') == 20
    assert '"more": 80' in log
