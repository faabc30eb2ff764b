"""Alertmanager behind its door, for real: what a program may, what another site's page may not."""

import gzip
import os
import socket
import subprocess
import sys

import httpx
import pytest

from tests.doors_process import ALERTMANAGER, SILENCE, doors
from tests.servers import free_port

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(ALERTMANAGER is None, reason="not installed: prometheus-alertmanager"),
]
# Alertmanager up to 0.26 has the first one too, which takes a body of any type.
APIS = ("/api/v1/silences", "/api/v2/silences")


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
    (tmp_path / "header").write_text("Basic x")
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "monitoring.doors",
            f"{port}=http://127.0.0.1:1",
            f"--header-file={tmp_path}/header",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        answer = httpx.Client(transport=httpx.HTTPTransport(retries=6)).get(
            f"http://127.0.0.1:{port}/-/ready"
        )
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert answer.status_code == 502
    assert "does not answer" in answer.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["9090"], "'9090' is no door: give one such as 9090=http://127.0.0.1:19090"),
        (["9090=http://127.0.0.1:1", "--header-file=/nonexistent"], "/nonexistent can't be read"),
    ],
)
def test_bad_options_are_one_line(arguments, said):
    command = [sys.executable, "-m", "monitoring.doors", *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RQ")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith(f"doors: {said}")
    assert len(done.stderr.splitlines()) == 1
