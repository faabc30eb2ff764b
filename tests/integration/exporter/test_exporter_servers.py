"""The exporter with servers that are not Redis, hang, answer byte by byte, or break it."""

import logging
import os
import signal
import socketserver
import threading
import time
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue

from rqmon.exporter import collector
from rqmon.exporter import scrapes as scraping
from rqmon.exporter.exposition import write
from rqmon.exporter.own_metrics import own_metrics
from rqmon.exporter.reading import first_trip, pipeline, reader
from rqmon.exporter.reading.pipeline import RoundTrips, pack
from rqmon.exporter.scrapes import Scrapes
from rqmon.exporter.servers import Server, _name
from tests.jobs import pid
from tests.processes.exporter_process import exporter, samples, value
from tests.servers import wait_for


@contextmanager
def impostor(answer, *, greeting=b"+OK\r\n"):
    """A server that does the handshake like Redis, then answers as `answer` says."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            while received := self.request.recv(1 << 16):
                try:
                    if b"HELLO" in received and greeting:  # redis-py 8
                        self.request.sendall(b"%1\r\n$5\r\nproto\r\n:3\r\n")
                    elif b"CLIENT" in received and greeting:
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
                reader.take(client)
            assert client.connection_pool._available_connections[0]._sock is None
        with exporter(f"redis://127.0.0.1:{client.get_connection_kwargs()['port']}") as process:
            assert value(process.scrape(), "rq_scrape_errors_total", reason="connection") >= 1
            assert process.get("/healthz").status_code == 503


def test_a_server_that_greets_as_no_redis_does_is_down():
    with impostor(lambda socket: socket.sendall(b":1\r\n" * 99), greeting=b"") as client:
        taking, own = scrapes(client)
        assert not taking.health().readable
        assert own.get_sample_value("rq_scrape_errors_total", {"reason": "connection"}) == 1


def test_answers_that_come_byte_by_byte_have_one_deadline():
    with impostor(drip) as client:
        started = time.monotonic()
        with pytest.raises(RedisTimeoutError):
            reader.take(client, seconds=0.3)
        assert 0.3 <= time.monotonic() - started < 1


def test_an_answer_without_end_is_left(monkeypatch):
    monkeypatch.setattr(pipeline, "_MOST_BYTES", 1 << 20)

    def floods(socket):
        socket.sendall(b"-")
        while True:
            socket.sendall(b"A" * 65536)

    with impostor(floods) as client, pytest.raises(InvalidResponse):
        reader.take(client)


@pytest.mark.parametrize("hangs", [False, True])
def test_the_exporters_own_time_is_not_rediss(redis_connection, monkeypatch, hangs):
    """The exporter's own work takes longer than Redis may; a Redis that then hangs is still noticed."""
    monkeypatch.setattr(scraping, "_SNAPSHOT_SECONDS", 0.3)
    monkeypatch.setattr(scraping, "_DEADLINE_SECONDS", 0.4)
    Queue("q", connection=redis_connection).enqueue(pid)
    server_pid = redis_connection.info()["process_id"]

    read = first_trip.read

    def slow(*arguments):
        found = read(*arguments)
        if hangs:
            os.kill(server_pid, signal.SIGSTOP)
        time.sleep(0.7)  # a machine with other work
        return found

    monkeypatch.setattr(first_trip, "read", slow)
    taking, own = scrapes(redis_connection)
    try:
        text = write(taking.families(), openmetrics=False).decode()
    finally:
        os.kill(server_pid, signal.SIGCONT)
    assert value(text, "rq_redis_up", redis="0") == (not hangs)
    assert 0.7 <= value(text, "rq_scrape_duration_seconds", redis="0") < 2
    assert own.get_sample_value("rq_scrape_errors_total", {"reason": "timeout"}) == hangs
    wait_for(taking._busy[0].done)


def test_answers_that_are_there_can_be_read_slowly(redis_connection, monkeypatch):
    monkeypatch.setattr(pipeline, "_RECEIVE_BYTES", 1 << 10)
    with RoundTrips(redis_connection, seconds=0.3) as trips:
        answers = trips.ask([pack("ECHO", b"x" * 1000)] * 100, answers=100)
        for _ in answers:
            time.sleep(0.01)  # a parser without a processor


def test_a_greeting_that_comes_byte_by_byte_keeps_no_thread():
    with impostor(drip, greeting=b"") as client:
        taking, _ = scrapes(client)
        assert not taking.health().readable
        wait_for(lambda: taking._busy[0].done(), seconds=3)


def test_the_time_of_a_server_that_hangs_is_not_anothers(redis_connection):
    with impostor(lambda _: None) as hangs:
        taking, _ = scrapes(hangs, redis_connection)
        text = write(taking.families(), openmetrics=False).decode()
    assert value(text, "rq_scrape_duration_seconds", redis="0") > 1
    assert value(text, "rq_scrape_duration_seconds", redis="1") < 0.5
    assert value(text, "rq_redis_up", redis="1") == 1


@pytest.mark.parametrize(("where", "name"), [(reader, "take"), (collector, "_cron")])
def test_what_nobody_foresaw_costs_that_server_alone(
    redis_connection, rq_redis_url, monkeypatch, caplog, where, name
):
    Queue("q", connection=redis_connection).enqueue(pid)
    other = Redis.from_url(rq_redis_url)
    taking, own = scrapes(redis_connection, other)
    sound, mended = getattr(where, name), []

    def breaks(first, *arguments, **others):
        if not mended and (first is redis_connection or 'redis="0",' in arguments):
            raise ZeroDivisionError("odd")
        return sound(first, *arguments, **others)

    monkeypatch.setattr(where, name, breaks)
    caplog.set_level(logging.INFO)
    for _ in range(2):
        families, health = taking.take()
        text = write(families, openmetrics=False).decode()
        assert not health.readable
        assert [name for name, labels in samples(text) if ("redis", "0") in labels] == [
            "rq_redis_up",
            "rq_scrape_duration_seconds",
        ]
        assert value(text, "rq_redis_up", redis="0") == 0
        assert value(text, "rq_redis_up", redis="1") == 1
        assert value(text, "rq_jobs", redis="1", queue="q", status="queued") == 1
    assert own.get_sample_value("rq_scrape_errors_total", {"reason": "unexpected"}) == 2
    mended.append(True)
    assert taking.take()[1].readable
    said = [record.message for record in caplog.records if record.name.startswith("rqmon.")]
    assert said == ["redis_lost", "redis_back"]
    assert "ZeroDivisionError" in caplog.text


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
