"""`rqmon alerts` on a real stack: what fires, what was told, the test of the path, and the past."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from rqmon.alerting.backtest import STEP_SECONDS
from rqmon.stack.native.supervisor import Supervisor
from tests.servers import wait_for
from tests.stack import MISSING, Stack

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack.new("native", tmp_path_factory.mktemp("alerts"))
    try:
        stack.start()
        yield stack
    finally:
        stack.rqmon("stop")


def asked(stack: Stack, *arguments: str) -> tuple[int, dict]:
    done = stack.rqmon("alerts", *arguments, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def firing(stack: Stack) -> dict[str, dict]:
    _, answer = asked(stack)
    return {it["name"]: it for it in answer["alerts"]}


def test_a_test_goes_the_whole_way_to_the_log(stack):
    code, answer = asked(stack, "test")
    assert (code, answer["problem"]) == (0, "")
    [log] = answer["receivers"]
    assert (log["receiver"], log["problem"]) == ("alert_log", "")
    assert 0 < log["seconds"] < 30
    said = stack.rqmon("alerts", "test")
    assert "alert_log: delivered after" in said.stdout
    assert len([it for it in asked(stack, "log")[1] if it["status"] == "firing"]) >= 2
    assert "RQTest" in stack.rqmon("alerts", "log", "--lines", "1").stdout


def test_nothing_fires_on_a_new_stack(stack):
    done = stack.rqmon("alerts")
    assert (done.returncode, done.stdout) == (0, "Nothing fires.\n")


def test_what_fires_is_listed_told_and_found_in_the_past(stack):
    supervisor = Supervisor(stack.config)
    supervisor.stop("rq_exporter")
    try:
        wait_for(
            lambda: "RQExporterDown" in {it["name"] for it in asked(stack)[1]["pending"]},
            what="it is pending",
        )
        assert "Pending, not sent yet: RQExporterDown" in stack.rqmon("alerts").stdout
        wait_for(
            lambda: firing(stack).get("RQExporterDown", {}).get("told") == "told",
            seconds=120,
            what="it fires and Alertmanager has it",
        )
        done = stack.rqmon("alerts")
        assert done.returncode == 1
        assert "RQExporterDown" in done.stdout
        assert "critical" in done.stdout
        assert f"{stack.url('alert_log')}/runbooks#rqexporterdown" in done.stdout

        def is_logged() -> bool:
            told = asked(stack, "log")[1]
            return any(a["labels"]["alertname"] == "RQExporterDown" for it in told for a in it["alerts"])

        wait_for(is_logged, seconds=60, what="the log was told")

        def fired() -> bool:
            past = asked(stack, "backtest", "--since", "30m")[1]
            return any(it["name"] == "RQExporterDown" and it["times"] for it in past["alerts"])

        # The backtest looks every 30 s, so it may see a firing one step after Prometheus did.
        wait_for(fired, seconds=2 * STEP_SECONDS, what="the backtest sees it")
        code, past = asked(stack, "backtest", "--since", "30m")
        found = {it["name"]: it for it in past["alerts"]}
        assert code == 0
        assert "RQWatchdog" not in found
        assert (found["RQExporterDown"]["times"], found["RQExporterDown"]["severity"]) == (1, "critical")
        # Before Prometheus ran everything was absent, and nothing fired.
        assert found["RQExporterDown"]["seconds"] < past["recorded_seconds"] + 60 < 1800
        assert past["alerts"][0]["times"]
        assert (
            "would have fired, seen in steps of 30 s"
            in stack.rqmon("alerts", "backtest", "--since", "30m").stdout
        )
    finally:
        supervisor.start("rq_exporter")


def test_an_alert_with_a_hostile_label_is_shown_and_not_obeyed(stack):
    told = {
        "receiver": "default",
        "status": "firing",
        "alerts": [
            {
                "status": "firing",
                "startsAt": "2026-11-26T20:00:00Z",
                "labels": {"alertname": "RQQueueNoWorkers", "queue": "a\x1b]0;owned\x07\u202e\nb"},
                "annotations": {"summary": "[red]x[/red]"},
            }
        ],
    }
    httpx.post(f"{stack.url('alert_log')}/notifications", json=told).raise_for_status()
    shown = stack.rqmon("alerts", "log", "--lines", "1").stdout
    assert r"a\x1b]0;owned\x07\u202e\nb  [red]x[/red]" in shown
    assert "\x1b" not in shown


def test_an_alertmanager_that_is_down_is_said_and_a_receiver_that_is_too(stack):
    supervisor = Supervisor(stack.config)
    supervisor.stop("alert_log")
    try:
        wait_for(lambda: supervisor.programs()["alert_log"].state == "STOPPED", what="it ends")
        done = stack.rqmon("alerts", "test", "--timeout", "3")
        assert done.returncode == 1
        assert "alert_log: not delivered in 3 s" in done.stdout
    finally:
        supervisor.start("alert_log")
    supervisor.stop("alertmanager")
    try:
        wait_for(lambda: supervisor.programs()["alertmanager"].state == "STOPPED", what="it ends")
        done = stack.rqmon("alerts")
        assert done.returncode == 1
        assert "Nobody is told of anything: Alertmanager at" in done.stdout
        done = stack.rqmon("alerts", "test")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    finally:
        supervisor.start("alertmanager")
    supervisor.stop("prometheus")
    try:
        wait_for(lambda: supervisor.programs()["prometheus"].state == "STOPPED", what="it ends")
        for words in (["alerts"], ["alerts", "backtest"]):
            done = stack.rqmon(*words)
            assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
            assert "Prometheus at" in done.stderr
    finally:
        supervisor.start("prometheus")


@pytest.mark.parametrize("since", ["", "7", "1x", "0d", "99999w", "-1d"])
def test_a_time_that_is_none_is_refused(stack, since):
    done = stack.rqmon("alerts", "backtest", f"--since={since}")
    assert done.returncode == 2
    assert "use 30m, 12h, 7d or 2w" in done.stderr


def test_a_receiver_of_one_s_own_is_told_and_the_log_is_not(stack):
    told: list[dict] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert stack.rqmon("stop").returncode == 0
    with stack.env_file.open("a") as file:
        file.write(f"RQMON_ALERT_WEBHOOK_URL=http://127.0.0.1:{server.server_port}/hook\n")
    try:
        stack.start()
        before = len(asked(stack, "log")[1])
        code, answer = asked(stack, "test")
        assert code == 0
        assert [it["receiver"] for it in answer["receivers"]] == ["webhook"]
        assert [it["labels"]["alertname"] for it in told[0]["alerts"]] == ["RQTest"]
        assert len(asked(stack, "log")[1]) == before, "what was told earlier is kept"
        assert "Alerts go to webhook now, and not to this log." in stack.rqmon("alerts", "log").stdout
    finally:
        server.shutdown()
        server.server_close()
