"""The exporter as rq-exporter's users know it: options, log, WSGI application; and whom it answers."""

import gzip
import json
import os
import socket
import subprocess
import sys
from importlib.metadata import version

import httpx
import pytest

from rqmon.entry_point import installed_version
from rqmon.web import hosts
from tests.processes.exporter_process import exporter, samples
from tests.servers import free_port

# Names that another site's page can't get for itself, and some that it can.
OURS = ["127.0.0.1", "[::1]", "10.1.2.3", "LocalHost", "rq_exporter", "app.localhost", "rq.example.org"]
OURS += ["host.docker.internal", socket.gethostname()]
THEIRS = [
    "",
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "rq.example.org.evil.example",
]


@pytest.mark.parametrize("port", ["", ":9726"])
@pytest.mark.parametrize("host", OURS)
def test_a_name_of_ours_is_accepted(host, port):
    assert hosts.is_accepted(host + port, hosts.given_names(" rq.example.org , other.example"))


@pytest.mark.parametrize(
    "given", ["RQ.example.org.", "rq.example.org:9726", "https://rq.example.org:8443/metrics"]
)
def test_a_name_can_be_given_as_an_address(given):
    assert hosts.given_names(given) == {"rq.example.org"}


@pytest.mark.parametrize("port", ["", ":9726", ":x"])
@pytest.mark.parametrize("host", THEIRS)
def test_a_name_that_anybody_can_have_is_not(host, port):
    assert not hosts.is_accepted(host + port, {"rq.example.org"})


def test_a_page_of_elsewhere_reads_nothing(everything):
    with exporter(everything, RQ_EXPORTER_ALLOWED_HOSTS="metrics.example.org") as process:
        for path in ("/metrics", "/", "/healthz"):
            for headers in (
                {"Host": "evil.example:9726"},
                {"Origin": "http://evil.example"},
                {"Origin": "null"},
            ):
                answer = process.get(path, headers=headers)
                assert answer.status_code == 403
                assert "rq_" not in answer.text
                assert "access-control-allow-origin" not in answer.headers
            assert "RQ_EXPORTER_ALLOWED_HOSTS" in answer.text
            for host in ("metrics.example.org", "rq_exporter:9726", "127.0.0.1"):
                assert process.get(path, headers={"Host": host}).status_code == 200
        assert process.get("/metrics", headers={"Origin": process.url}).status_code == 200


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0"])
def test_names_that_are_asked_for_and_no_others(everything, accept):
    asked = ["rq_jobs", "rq_job_wait_seconds_sum", "rq_scrape_errors_total", "no_such", "rq_redis_up"]
    with exporter(everything) as ours, exporter(everything, module="rq_exporter") as theirs:
        given, wanted = (
            process.get("/metrics", params={"name[]": asked}, headers={"Accept": accept}).text
            for process in (ours, theirs)
        )
    names = {line.partition("{")[0].partition(" ")[0] for line in given.splitlines() if line[0] != "#"}
    assert names == {*asked} - {"no_such"}
    if accept == "text/plain":
        assert {key: samples(given)[key] for key in samples(wanted)} == samples(wanted)
    else:
        assert given.endswith("# EOF\n")


def test_gzip_for_who_takes_it(everything):
    with exporter(everything) as process:
        with httpx.stream("GET", f"{process.url}/metrics", headers={"Accept-Encoding": "gzip"}) as answer:
            packed = b"".join(answer.iter_raw())
        assert answer.headers["Content-Encoding"] == "gzip"
        plain = process.get("/metrics", headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert gzip.decompress(packed).count(b"\n") == plain.text.count("\n")
        assert len(packed) < len(plain.content) / 3


def run(*arguments, **variables):
    command = [sys.executable, "-m", "rqmon.exporter", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_head_has_no_body(everything):
    with exporter(everything) as process:
        host, port = process.url.removeprefix("http://").split(":")
        for path in ("/healthz", "/metrics"):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(
                    f"HEAD {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
                )
                head, end, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
            assert (head.split()[1], end, body) == (b"200", b"\r\n\r\n", b"")


def test_its_version_is_said_beside_that_of_rq_exporter():
    said = run("--version")
    assert said.returncode == 0
    assert (
        said.stdout == f"rqmon {installed_version()}, in the place of rq-exporter {version('rq-exporter')}\n"
    )


def logged(arguments=(), **variables):
    """Return what it logs when it starts while Redis is away."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    with exporter(url, arguments=arguments, **variables) as process:
        process.terminate()
        process.wait()
        return process.stderr.read().decode().splitlines()


def test_its_log_is_json_unless_a_format_is_given():
    events = [json.loads(line)["event"] for line in logged()]
    assert events == ["redis_lost", "rq_exporter_started"]


def test_a_format_a_date_and_a_level_are_kept():
    first, last = logged(
        ("--log-format", "%(levelname)s|%(name)s|%(asctime)s|%(message)s", "--log-datefmt", "%Y")
    )
    level, name, year, message = first.split("|")
    assert (level, name, len(year)) == ("WARNING", "rqmon.exporter.scrapes", 4)
    assert message.startswith("redis_lost reason='connection' error=")
    assert "rq_exporter_started" in last
    [only] = logged(RQ_EXPORTER_LOG_FORMAT="<%(message)s>", RQ_EXPORTER_LOG_LEVEL="warning")
    assert only.startswith("<redis_lost>")
    assert logged(("--log-level", "error"), RQ_EXPORTER_LOG_LEVEL="debug") == []
    assert logged(RQ_LOG_LEVEL="ERROR") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--log-level", "loud"), "RQ_EXPORTER_LOG_LEVEL is 'LOUD'"),
        (("--log-format", "%(x"), "RQ_EXPORTER_LOG_FORMAT"),
        (("--log-format", "%(no_such)s"), "RQ_EXPORTER_LOG_FORMAT"),
        (("--log-format", "%(message)d"), "RQ_EXPORTER_LOG_FORMAT"),
    ],
)
def test_a_log_that_can_not_be_is_one_line_and_exit_code_2(arguments, message):
    ended = run(*arguments)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert message in ended.stderr


def test_an_address_on_the_command_line_wins_over_every_variable(everything, redis_connection, tmp_path):
    port = str(redis_connection.get_connection_kwargs()["port"])
    away = f"redis://127.0.0.1:{free_port()}/0"
    here = ("--redis-host", "127.0.0.1", "--redis-port", port, "--redis-db", "0")
    for arguments in (here, ("--redis-url", everything)):
        with exporter(away, arguments=arguments, RQ_REDIS_URLS=away) as process:
            assert "rq_redis_up 1" in process.scrape()
    (tmp_path / ".env").write_text(f"RQ_REDIS_URL={away}\n")
    environment = {
        "RQMON_ENV_FILE": str(tmp_path / ".env"),
        "RQ_REDIS_HOST": "127.0.0.1",
        "RQ_REDIS_PORT": port,
    }
    with exporter(None, RQ_REDIS_DB="0", **environment) as process:
        assert "rq_redis_up 1" in process.scrape()


WSGI = """
import sys
from wsgiref.simple_server import make_server
from rqmon.exporter import create_app
make_server("127.0.0.1", int(sys.argv[4]), create_app()).serve_forever()
"""


def test_an_application_for_other_wsgi_servers(everything):
    with exporter(everything, code=WSGI) as process:
        assert "rq_redis_up 1" in process.scrape()
        assert process.get("/healthz").text == "ok\n"
