"""Invalid input gives one line and exit code 2."""

import socket
from pathlib import Path

import pytest

from rqmon.preview.__main__ import main

DATA = Path(__file__).parents[2] / "browser" / "data"


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "0"], "'0' is not a port"),
        (["--port", "http"], "'http' is not a port"),
        (["--prometheus-url", "localhost:9090"], "'localhost:9090' is not a URL"),
        (["--prometheus-url", "http://x:y"], "'http://x:y' is not a URL"),
        (["--dashboards", "/no/such/folder"], "/no/such/folder is not a folder"),
        (["--frobnicate"], "unrecognized arguments"),
    ],
)
def test_bad_options(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refused(arguments, capsys)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "has no dashboards"),
        ("{", "bad.json is not JSON"),
        ('{"a": 1}', "bad.json is not a Grafana dashboard"),
        ('{"title": "T", "panels": []}', "bad.json is a dashboard without a uid"),
        ('{"uid": "u", "title": "T", "panels": [1]}', "bad.json is a dashboard this preview can't read"),
    ],
)
def test_bad_folders(
    content: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "bad.json").write_text(content)
    assert said in refused(["--dashboards", str(tmp_path)], capsys)


def test_a_uid_used_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text('{"uid": "u", "title": "T", "panels": []}')
    assert "b.json has the uid 'u'" in refused(["--dashboards", str(tmp_path)], capsys)


def test_a_taken_port(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} is taken" in refused(["--port", port, "--dashboards", str(DATA)], capsys)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "2001:db8::1"])
def test_a_host_that_is_not_this_machine(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["--host", host, "--port", "4001", "--dashboards", str(DATA)], capsys)
    assert f"can't listen on {host}, port 4001" in said


def test_the_environment_sets_defaults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAFANA_PORT", "grafana")
    assert "'grafana' is not a port" in refused([], capsys)
    monkeypatch.setenv("GRAFANA_PORT", "4000")
    monkeypatch.setenv("PROMETHEUS_URL", "prometheus")
    assert "'prometheus' is not a URL" in refused([], capsys)
    monkeypatch.setenv("PROMETHEUS_URL", "http://127.0.0.1:9090")
    monkeypatch.setenv("RQ_DASHBOARD_URL", "javascript:alert(1)")
    assert "'javascript:alert(1)' is not a URL" in refused([], capsys)
