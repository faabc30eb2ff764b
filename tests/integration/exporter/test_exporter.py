"""The real exporter compared with rq-exporter, and what it reports about a real server."""

import json
import subprocess
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from rq import Queue, Retry, Worker
from rq.job import Job

from rqmon.exporter.collector import collect
from rqmon.exporter.exposition import Family, labels, sample, write
from rqmon.exporter.reading import reader
from rqmon.metrics import METRICS
from scheduler import RateLimit, TooManyRequests
from scheduler.cron.heartbeats import PROCESSES
from scheduler.workers.strategies import InProcessWorker
from tests.jobs import fail, pid
from tests.processes.exporter_process import exporter, samples, value
from tests.servers import wait_for


def test_every_sample_of_rq_exporter_is_there_with_its_value(everything):
    with exporter(everything) as ours, exporter(everything, module="rq_exporter") as theirs:
        wanted = samples(theirs.scrape())
        given = samples(ours.scrape())
    own = ("process_", "python_gc_", "rq_request_processing_seconds")  # of the exporter's process
    compared = {key: value for key, value in wanted.items() if not key[0].startswith(own)}
    assert {key: given.get(key) for key in compared} == compared
    assert len([key for key in compared if key[0].startswith("rq_")]) == 24
    # The values of the others differ by nature; names and labels don't.
    assert {key for key in wanted if key not in compared} <= {*given}


def test_both_formats_say_the_same_and_promtool_has_nothing_to_say(everything):
    with exporter(everything) as process:
        text, other = process.scrape(), process.scrape("application/openmetrics-text; version=1.0.0")
    plain = {key for key in samples(text) if not key[0].endswith("_created")}
    assert other.endswith("# EOF\n")
    assert plain == {key for key in samples(other, openmetrics) if not key[0].endswith("_created")}
    checked = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_the_catalog_is_what_is_served(everything, redis_connection):
    limit = RateLimit("api", "me", 1, 60)
    with limit:
        pass
    with pytest.raises(TooManyRequests), limit:
        pass
    with RateLimit("calm", "me", 1, 60):
        pass
    queue = Queue("first", connection=redis_connection)
    queue.enqueue(fail, retry=Retry(max=1))
    InProcessWorker([queue], connection=redis_connection).work(burst=True)
    with redis_connection.pipeline() as pipe:
        pipe.hset("rqmon:ledger:jobs:counts", "horse_killed|||first", 1)
        pipe.hset("rqmon:ledger:cron:outcomes", "ten|ran", 1)
        pipe.hset("rqmon:ledger:cron:last", "ten", 1)
        pipe.execute()
    with exporter(everything) as process:
        text = process.scrape()
    served = {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            {name for sample in family.samples for name in sample.labels} - {"le"},
        )
        for family in text_string_to_metric_families(text)
        if family.name.startswith("rq_") and not family.name.endswith("_created")
    }
    assert served == {m.name: (m.type, set(m.labels)) for m in METRICS if m.name.startswith("rq_")}
    assert value(text, "rq_rate_limit_requests_total", resource="api", outcome="refused") == 1
    # From zero on, so that the first one is seen in a rate.
    assert value(text, "rq_rate_limit_requests_total", resource="calm", outcome="refused") == 0
    assert value(text, "rq_job_retries_total", queue="first") == 1
    assert value(text, "rq_queue_workers", queue="first") == 3
    assert value(text, "rq_cron_slots_total", entry="ten", outcome="ran") == 1
    assert value(text, "rq_cron_slots_total", entry="ten", outcome="missed") == 0


@pytest.mark.parametrize("text", ["plain", 'a"b', "a\\b", "a\nb", "ü", "", 'a,b="c"'])
def test_labels_are_read_back_as_they_were(text):
    family = Family(METRICS[1], (sample(METRICS[1].name, labels({"name": text, "state": "x"}), 1),))
    [read] = text_string_to_metric_families(write([family], openmetrics=False).decode())
    assert read.samples[0].labels == {"name": text, "state": "x"}


@pytest.mark.parametrize(("queues", "workers"), [(1, 0), (50, 20)])
def test_a_scrape_takes_three_round_trips_at_any_size(redis_connection, monkeypatch, queues, workers):
    for number in range(queues):
        Queue(f"q{number}", connection=redis_connection).enqueue(pid)
    for number in range(workers):
        Worker([f"q{number}"], connection=redis_connection, name=f"w{number}").register_birth()
    asked = []
    ask = reader.RoundTrips.ask

    def counted(self, commands, *, answers):
        asked.append(answers)
        return ask(self, commands, answers=answers)

    monkeypatch.setattr(reader.RoundTrips, "ask", counted)
    taken = reader.take(redis_connection)
    assert (len(taken.queues), len(taken.workers), len(asked)) == (queues, workers, 3)
    assert taken.unreadable == ()


def test_a_scrape_changes_nothing(everything, redis_connection):
    # Except what expires meanwhile, such as dead workers' keys.
    lasting = [key for key in redis_connection.scan_iter() if redis_connection.ttl(key) == -1]
    dump = {key: redis_connection.dump(key) for key in lasting}
    reader.take(redis_connection)
    now = {key: redis_connection.dump(key) for key in redis_connection.scan_iter()}
    assert {key: now.get(key) for key in lasting} == dump
    assert all(redis_connection.ttl(key) >= 0 for key in now if key not in lasting)


def test_a_lost_job_is_seen_and_one_that_waits_or_runs_is_not(everything, redis_connection):
    job = Queue("first", connection=redis_connection).enqueue(pid)
    old = "2026-01-01T00:00:00.000000Z"
    for key in redis_connection.scan_iter("rq:job:*", _type="hash"):
        redis_connection.hset(key, "enqueued_at", old)
    assert reader.take(redis_connection).unaccounted == 0
    redis_connection.lrem("rq:queue:first", 0, job.id)  # like a worker that dies before it reports
    # A scrape looks at a random part of the keys.
    wait_for(lambda: reader.take(redis_connection).unaccounted == 1)
    redis_connection.rpush("rq:queue:first:intermediate", job.id)
    assert reader.take(redis_connection).unaccounted == 0


def test_what_is_overdue_and_how_long_the_oldest_waited(redis_connection):
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(pid)
    queue.enqueue(pid)
    now = time.time()
    redis_connection.hset(Job.key_for(job.id), "enqueued_at", "2026-01-01T00:00:00.000000Z")
    redis_connection.zadd("rq:scheduled:q", {"a": now - 100, "b": now - 50, "c": now + 50})
    [state] = reader.take(redis_connection).queues
    assert state.overdue == 2
    assert 100 <= state.worst_delay_seconds < 105
    assert state.oldest_enqueued_at == 1767225600.0


def page(connection):
    families = collect(reader.take(connection), base={}, bounds=(1.0,), seconds=0.1)
    return write(families, openmetrics=False).decode()


def test_how_long_jobs_have_run_and_waited_for_others(redis_connection):
    queue = Queue("q", connection=redis_connection)
    parent = queue.enqueue(pid)

    def ages():
        text = page(redis_connection)
        names = ("rq_queue_longest_running_job_seconds", "rq_queue_oldest_deferred_job_age_seconds")
        return tuple(round(value(text, name, queue="q"), -2) for name in names)

    assert ages() == (0, 0)
    now = redis_connection.time()[0]
    for age in (0, 700):
        child = queue.enqueue(pid, depends_on=parent)
        redis_connection.zadd("rq:deferred:q", {child.id: now - age})
    running = {}
    for age in (5_000, 300, 0):
        worker = Worker([queue], connection=redis_connection, name=f"w{age}")
        running[age] = worker.prepare_execution(queue.enqueue(pid))
        redis_connection.hset(running[age].key, "created_at", now - age)
    assert ages() == (5_000, 700)
    # Its worker died. It is an execution no more, though RQ has not given its job up yet.
    redis_connection.zadd("rq:wip:q", {running[5_000].composite_key: now - 10})
    assert ages() == (300, 700)
    redis_connection.hset(running[300].key, "created_at", "x")
    assert ages() == (0, 700)


def test_a_worker_is_stale_by_its_own_interval(redis_connection):
    lives = {"plain": 480, "ours": 90, "starts a job": 61}
    for name, life in lives.items():
        Worker(["q"], name=name, connection=redis_connection).register_birth()
        redis_connection.expire(f"rq:worker:{name}", life)
    redis_connection.hset("rq:worker:without a life", "state", "idle")
    redis_connection.sadd("rq:workers", "rq:worker:without a life")

    def stale():
        return value(page(redis_connection), "rq_workers_stale")

    assert stale() == 0
    redis_connection.expire("rq:worker:plain", 480 - 449)  # a moment before it is, 44 s after it was due
    assert stale() == 0
    redis_connection.expire("rq:worker:plain", 480 - 451)
    assert stale() == 1
    redis_connection.expire("rq:worker:ours", 90 - 61)
    assert stale() == 2


def test_a_cron_process_counts_while_it_gets_its_work_done(redis_connection):
    now = redis_connection.time()[0]
    common = {"host": "h", "pid": 1, "started_at": now - 100, "heartbeat": now, "passed_over_count": 2}
    redis_connection.hset(PROCESSES, "works", json.dumps({**common, "worked_at": now}))
    redis_connection.hset(PROCESSES, "stuck", json.dumps({**common, "worked_at": now - 60}))
    redis_connection.hset(PROCESSES, "tomorrow's", json.dumps({**common, "heartbeat": now + 86400}))
    cron = reader.take(redis_connection).cron
    assert (cron.processes, cron.passed_over) == (1, 2)
