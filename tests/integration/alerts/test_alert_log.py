"""The receiver on this machine, as a process: what it keeps, and whom it turns away."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from dashboards.alerts.files import ALERTS
from rqmon.alerting.log import AlertLog
from tests.servers import free_port, wait_for

ALERT = {
    "status": "firing",
    "labels": {"alertname": "RQQueueNoWorkers", "queue": "a\x1b[31m"},
    "annotations": {"summary": "No worker"},
    "startsAt": "2026-11-26T20:00:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://x",
}
TOLD = {"receiver": "default", "status": "firing", "alerts": [ALERT], "groupLabels": {}, "version": "4"}


@pytest.fixture
def server(tmp_path) -> Iterator[httpx.Client]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "rqmon.alerting", f"--port={port}", f"--file={tmp_path}/alerts.jsonl"],
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.startswith("RQ")},
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

        def answers() -> bool:
            try:
                return client.get("/healthz").status_code == 200
            except httpx.TransportError:
                return False

        try:
            wait_for(answers, what="it listens")
            yield client
        finally:
            process.terminate()
            assert process.wait(20) == 0


def test_what_it_is_told_is_kept_for_its_user_alone_and_can_be_asked(server, tmp_path):
    for receiver in ("first", "second", "third"):
        assert server.post("/notifications", json={**TOLD, "receiver": receiver}).status_code == 200
    kept = server.get("/notifications?last=2").json()
    assert [each["receiver"] for each in kept] == ["second", "third"]
    assert kept[0]["alerts"] == [
        {
            "status": "firing",
            "since": ALERT["startsAt"],
            "labels": ALERT["labels"],
            "annotations": ALERT["annotations"],
        }
    ]
    assert (tmp_path / "alerts.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "page",
    [
        {"Origin": "http://evil.example"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_a_page_of_another_site_neither_reads_nor_writes(server, page):
    assert server.post("/notifications", json=TOLD, headers=page).status_code == 403
    assert server.get("/notifications", headers=page).status_code == 403
    assert server.get("/notifications").json() == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, json.dumps({**TOLD, "alerts": 3}).encode()]
)
def test_what_is_no_notification_is_refused_and_not_kept(server, body):
    assert server.post("/notifications", content=body).status_code == 400
    assert server.post("/notifications", content=b"x" * (2**20 + 1)).status_code == 413
    assert server.put("/notifications", json=TOLD).status_code == 405
    assert server.get("/notifications?last=x").status_code == 400
    assert server.get("/other").status_code == 404
    assert server.get("/notifications").json() == []


def test_the_runbooks_are_a_page_with_a_section_for_each_alert_s_link(server):
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = server.get("/runbooks", headers=linked)  # from a message
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for alert in ALERTS:
        assert f'<h2 id="{alert.name.lower()}">{alert.name}</h2>' in answer.text
        assert alert.runbook_url.endswith(f'/runbooks" }}}}#{alert.name.lower()}')
    assert ".md" not in "".join(re.findall('href="(.*?)"', answer.text))
    assert "<table>" in answer.text
    assert server.get("/runbooks", headers={"Host": "evil.example"}).status_code == 403
    assert server.post("/runbooks", json=TOLD).status_code == 404


def test_a_full_file_is_kept_once_and_a_line_that_is_cut_off_is_left_out(tmp_path):
    path = tmp_path / "alerts.jsonl"
    log = AlertLog(path, most_bytes=100)
    for number in range(50):
        log.append({"number": number})
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 200
    assert [each["number"] for each in log.last(3)] == [47, 48, 49]
    with path.open("a") as file:
        file.write('{"number": 50')
    assert [each["number"] for each in log.last(1)] == [49]


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "rqmon.alerting", f"--file={tmp_path}/none/alerts.jsonl"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("alert_log: ")
    assert "can't be written (No such file or directory)" in done.stderr
