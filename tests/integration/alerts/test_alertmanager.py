"""A real Alertmanager with the bundle's configuration: what is told, to whom, and what its cause silences."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from rqmon.stack.receivers import alertmanager_config
from tests.processes.alertmanager_process import PROGRAM, alertmanager
from tests.servers import wait_for

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(PROGRAM is None, reason="alertmanager is not on PATH; install the system's"),
]
OF = {"job": "rq-exporter", "instance": "rq-exporter"}


def alert(name: str, severity: str, **labels: str) -> dict[str, dict[str, str]]:
    return {"labels": {"alertname": name, "severity": severity, **OF, **labels}}


@pytest.fixture(scope="module")
def log() -> Iterator[tuple[str, list[dict]]]:
    """A receiver that keeps what it is told."""
    told: list[dict] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def url(log, tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("alertmanager")
    with alertmanager(folder, alertmanager_config({}, log_url=log[0])) as server:
        yield server.url


def active(url: str) -> dict[str, bool]:
    """{alert and queue: whether it is silenced}."""
    found = httpx.get(f"{url}/api/v2/alerts").json()
    return {
        " ".join([each["labels"]["alertname"], each["labels"].get("queue", "")]).strip(): bool(
            each["status"]["inhibitedBy"]
        )
        for each in found
    }


def test_what_follows_is_silenced_and_what_does_not_is_told_once(url, log):
    sent = [
        alert("RQWatchdog", "info"),
        alert("RQQueueNoWorkers", "critical", queue="a"),
        alert("RQQueueLatencyHigh", "warning", queue="a"),
        alert("RQScheduledOverdue", "critical", queue="a"),
        alert("RQQueueLatencyHigh", "warning", queue="b"),
        alert("RQWaitSLOBurnSlow", "warning", queue="b"),
        alert("RQRedisMemoryHigh", "warning"),
        alert("RQCronOverlapping", "info", entry="e"),
    ]
    httpx.post(f"{url}/api/v2/alerts", json=sent).raise_for_status()
    expected = {
        "RQWatchdog": False,
        "RQQueueNoWorkers a": False,
        "RQQueueLatencyHigh a": True,
        "RQScheduledOverdue a": True,
        "RQQueueLatencyHigh b": False,
        "RQWaitSLOBurnSlow b": True,
        "RQRedisMemoryHigh": False,
        "RQCronOverlapping": False,
    }
    wait_for(lambda: active(url) == expected)

    def of_log() -> set[tuple[str, str]]:
        return {
            (message["receiver"], each["labels"]["alertname"])
            for message in log[1]
            for each in message["alerts"]
        }

    wait_for(lambda: len(of_log()) >= 3)
    # Nobody is told of info, nor of the watchdog, nor of what is silenced.
    assert of_log() == {
        ("critical", "RQQueueNoWorkers"),
        ("default", "RQQueueLatencyHigh"),
        ("default", "RQRedisMemoryHigh"),
    }


def test_a_redis_that_is_down_silences_all_of_it_and_an_exporter_that_is_down_too(url):
    for cause, code in (("RQRedisDown", ""), ("RQRedisRefusing", "OOM"), ("RQExporterDown", "")):
        labels = {"code": code} if code else {}
        httpx.post(f"{url}/api/v2/alerts", json=[alert(cause, "critical", **labels)]).raise_for_status()
        wait_for(lambda: active(url)["RQQueueNoWorkers a"] and active(url)["RQRedisMemoryHigh"])
        assert not active(url)["RQWatchdog"]
        ended = {**alert(cause, "critical", **labels), "endsAt": "2020-01-01T00:00:00Z"}
        httpx.post(f"{url}/api/v2/alerts", json=[ended]).raise_for_status()
        wait_for(lambda cause=cause: cause not in active(url))
    wait_for(lambda: not active(url)["RQQueueNoWorkers a"])


def test_who_lacks_a_right_is_told_of_the_rest(url):
    httpx.post(
        f"{url}/api/v2/alerts", json=[alert("RQRedisRefusing", "critical", code="NOPERM")]
    ).raise_for_status()
    wait_for(lambda: "RQRedisRefusing" in active(url))
    assert not active(url)["RQQueueNoWorkers a"]
