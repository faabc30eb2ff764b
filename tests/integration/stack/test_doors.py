"""A real Alertmanager behind its door: what programs may do, and other sites' pages may not."""

import gzip
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.processes.doors_process import ALERTMANAGER, SILENCE, doors
from tests.servers import free_port, wait_for

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(ALERTMANAGER is None, reason="not installed: prometheus-alertmanager"),
]
# Alertmanager up to 0.26 also has the first one, which accepts a body of any type.
APIS = ("/api/v1/silences", "/api/v2/silences")


class Behind(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.open.add(self)
        try:
            if self.path != "/silent":
                self.send_response(200)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"well" if self.path == "/" else b"w")
            if self.path in ("/silent", "/endless"):
                self.connection.recv(1)  # until the client is gone
            self.close_connection = self.path != "/"
        finally:
            self.server.open.discard(self)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 200


@pytest.fixture
def behind():
    server = Server(("127.0.0.1", free_port()), Behind)
    server.open, server.url = set(), f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@contextmanager
def door_to(behind, folder, *, log=os.devnull):
    (folder / "header").write_text("Basic x")
    port = free_port()
    with Path(log).open("w") as said:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "rqmon.doors"),
                *(f"{port}={behind}", f"--header-file={folder}/header"),
            ],
            stderr=said,
        )
    try:
        wait_for(lambda: not socket.create_connection(("127.0.0.1", port)).close(), what="the door is open")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    with doors(tmp_path_factory.mktemp("doors"), RQMON_ALLOWED_HOSTS="alerts.example") as addresses:
        yield addresses


def test_a_program_silences_and_ends_it(addresses):
    made = httpx.post(f"{addresses.door}/api/v2/silences", json=SILENCE)
    assert made.status_code == 200
    assert addresses.silences() == [made.json()["silenceID"]]
    assert httpx.delete(f"{addresses.door}/api/v2/silence/{addresses.silences()[0]}").status_code == 200
    active = httpx.get(f"{addresses.door}/api/v2/silences").json()
    assert [silence["status"]["state"] for silence in active] == ["expired"]


@pytest.mark.parametrize("path", APIS)
@pytest.mark.parametrize("type_", ["application/json", "text/plain"])
@pytest.mark.parametrize(
    "page",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://evil.example", "Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example:9093"},
    ],
)
def test_a_page_of_another_site_does_not(addresses, path, type_, page):
    before = addresses.silences()
    headers = {"Content-Type": type_, **page}
    made = httpx.post(
        f"{addresses.door}{path}",
        headers=headers,
        content=httpx.Request("POST", "http://x", json=SILENCE).content,
    )
    assert made.status_code == 403
    assert addresses.silences() == before


@pytest.mark.parametrize(
    ("host", "status"), [("alerts.example", 200), ("alertmanager:9093", 200), ("evil.example", 403)]
)
def test_a_name_that_is_given_is_answered(addresses, host, status):
    assert httpx.get(f"{addresses.door}/api/v2/alerts", headers={"Host": host}).status_code == status


def test_a_preflight_is_not_answered(addresses):
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(f"{addresses.door}/api/v2/silences", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]
    read = httpx.get(f"{addresses.door}/api/v2/alerts")
    assert "access-control-allow-origin" not in read.headers


@pytest.mark.parametrize("login", [None, ("doors", "wrong"), ("admin", "admin")])
def test_nobody_gets_past_the_door(addresses, login):
    for path in ("/", "/-/ready", "/metrics", "/api/v2/alerts"):
        assert httpx.get(f"{addresses.behind}{path}", auth=login).status_code == 401


def test_what_is_passed_on_is_as_it_was(addresses):
    with httpx.Client(base_url=addresses.door) as client:
        plain = client.get("/metrics", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.text.startswith("# HELP")
        with client.stream("GET", "/metrics", headers={"Accept-Encoding": "gzip"}) as packed:
            assert packed.headers["content-encoding"] == "gzip"
            assert gzip.decompress(b"".join(packed.iter_raw())).startswith(b"# HELP")
        assert client.head("/-/ready").status_code == 200
        assert client.get("/api/v2/silence/no%2Fsuch?x=%2526").status_code in (400, 404, 422)
        assert client.get("/nothing").status_code == 404
        assert client.get("/-/ready", params={"query": "x" * 60_000}).status_code == 200


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/-/ready", "@127.0.0.1:1/-/ready", "*"])
def test_a_target_that_is_no_path_leads_nowhere(addresses, target):
    host, port = addresses.door.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(100).split()[1] == b"400"


def test_it_says_that_what_is_behind_is_away(tmp_path):
    with door_to("http://127.0.0.1:1", tmp_path) as door:
        answer = httpx.get(f"{door}/-/ready")
    assert answer.status_code == 502
    assert "does not answer" in answer.text


def test_who_leaves_keeps_nothing_open_behind(behind, tmp_path):
    with door_to(behind.url, tmp_path) as door:
        # More than aiohttp's default connection limit: Prometheus 3 keeps one for each open page.
        for _ in range(101):
            with httpx.stream("GET", f"{door}/endless") as begun:
                assert begun.status_code == 200
        wait_for(lambda: not behind.open, what="all requests have ended behind the door")
        left = [socket.create_connection(("127.0.0.1", httpx.URL(door).port)) for _ in range(101)]
        for connection in left:
            connection.sendall(b"GET /silent HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for(lambda: len(behind.open) == 101, what="all are asked at once")
        assert httpx.get(door).text == "well"
        for connection in left:
            connection.close()
        wait_for(lambda: not behind.open, what="all requests have ended behind the door")


def test_half_an_answer_does_not_pass_for_a_whole_one(behind, tmp_path):
    with (
        door_to(behind.url, tmp_path, log=tmp_path / "log") as door,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        httpx.get(f"{door}/half")
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_compressed_body_is_passed_on_as_it_came(behind, tmp_path):
    packed = gzip.compress(b"x" * 1000)
    with door_to(behind.url, tmp_path) as door:
        answer = httpx.post(door, content=packed, headers={"Content-Encoding": "gzip"})
    assert answer.content == packed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["9090"], "'9090' is not a door: give one such as 9090=http://127.0.0.1:19090"),
        (["70000=http://127.0.0.1:1"], "'70000=http://127.0.0.1:1' is not a door"),
        ([], "Give at least one door"),
        (["9090=http://127.0.0.1:1", "9090=http://127.0.0.1:2"], "Give at least one door"),
        (["9090=http://127.0.0.1:1", "--header-file=/nonexistent"], "/nonexistent can't be read"),
    ],
)
def test_bad_options_are_one_line(arguments, said):
    command = [sys.executable, "-m", "rqmon.doors", *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RQ")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"doors: {said}")
    assert len(done.stderr.splitlines()) == 1
