"""An exporter process, ours or rq-exporter, and its answers."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
from prometheus_client.parser import text_string_to_metric_families

from rqmon.exporter.scrapes import SHARED_SECONDS
from tests.servers import free_port, wait_for

ANSWER_SECONDS = 2.0


@contextmanager
def exporter(url, *, module="rqmon.exporter", code="", arguments=(), **variables):
    port = free_port()
    program = ["-c", code] if code else ["-m", module]
    command = [sys.executable, *program, "--host", "127.0.0.1", "--port", str(port), *arguments]
    environment = {**os.environ, "RQ_REDIS_URL": url, **variables}
    if url is None:
        del environment["RQ_REDIS_URL"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    process.url = f"http://127.0.0.1:{port}"
    client = httpx.Client(base_url=process.url, timeout=10)

    def scrape(accept="text/plain", *, seconds=ANSWER_SECONDS):
        """Return a fresh scrape, not an earlier one, which is shared for a second."""
        asked = time.monotonic()
        wait_for(lambda: time.monotonic() - asked > SHARED_SECONDS + 0.05)
        started = time.monotonic()
        response = client.get("/metrics", headers={"Accept": accept})
        assert time.monotonic() - started < seconds
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
