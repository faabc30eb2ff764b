"""`rqmon alerts test` with a real Alertmanager: what it waits for, and what counts as delivered."""

import json
import threading

import pytest

from rqmon.alerting.client import Server
from rqmon.alerting.delivery import Path, rules_arrive, send_test
from rqmon.stack.receivers import TEST_ALERT, alertmanager_config
from tests.processes.alertmanager_process import PROGRAM, alertmanager
from tests.processes.http_receiver import http_server
from tests.servers import wait_for

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(PROGRAM is None, reason="alertmanager is not on PATH; install the system's"),
]
LOG = "http://127.0.0.1:1/"


@pytest.mark.parametrize("answers", [True, False])
def test_the_test_alert_says_whether_a_server_took_it(tmp_path, answers):
    said: list[str] = []
    with http_server() as (url, _):
        config = alertmanager_config(
            {"RQMON_ALERT_WEBHOOK_URL": url if answers else "http://127.0.0.1:1"}, log_url=LOG
        )
        with alertmanager(tmp_path, config) as server:
            asked = Server("Alertmanager", server.url)
            path = Path(prometheus=asked, alertmanager=asked, log=asked)
            [delivery] = send_test(
                path,
                name=TEST_ALERT,
                integrations=["webhook"],
                has_switch=False,
                timeout_seconds=5,
                tell=said.append,
            )
    assert (delivery.problem == "") is answers
    assert said == ["Sent. Waiting up to 5 s for webhook."]


@pytest.mark.parametrize("answers", [True, False])
def test_a_call_to_the_dead_man_s_switch_does_not_pass_for_one_to_the_webhook(tmp_path, answers):
    begun, end = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        end.wait(20)

    with http_server(before=call) as (switch_url, called), http_server() as (url, _):
        variables = {
            "RQMON_ALERT_WATCHDOG_URL": switch_url,
            "RQMON_ALERT_WEBHOOK_URL": url if answers else "http://127.0.0.1:1",
        }
        config = alertmanager_config(variables, log_url=LOG)
        [route] = [it for it in config["route"]["routes"] if it["receiver"] == "watchdog"]
        route["repeat_interval"] = "1s"
        with alertmanager(tmp_path, config) as server:
            asked = Server("Alertmanager", server.url)
            path = Path(prometheus=asked, alertmanager=asked, log=asked)
            server.tell({"labels": {"alertname": "RQWatchdog", "severity": "info"}})
            assert begun.wait(20)

            def let_it_end() -> None:
                """Once no other begins; or in the test, where others do."""
                wait_for(
                    lambda: bool(asked.get("/api/v2/silences")) or len(asked.get("/api/v2/alerts")) > 1,
                    what="the watchdog is silenced",
                )
                end.set()

            thread = threading.Thread(target=let_it_end)
            thread.start()
            [delivery] = send_test(
                path,
                name=TEST_ALERT,
                integrations=["webhook"],
                has_switch=True,
                timeout_seconds=5,
                tell=lambda _line: None,
            )
            thread.join()
            calls = len(called)
            wait_for(lambda: len(called) > calls, what="it is called again")
    assert (delivery.problem == "") is answers


def test_what_the_test_of_the_path_waits_for_is_said(tmp_path):
    prometheus = {"status": "success", "data": {"alerts": []}}
    said: list[str] = []
    with (
        http_server(body=json.dumps(prometheus)) as (url, _),
        alertmanager(tmp_path, alertmanager_config({}, log_url=LOG)) as server,
    ):
        asked = Server("Alertmanager", server.url)
        path = Path(prometheus=Server("Prometheus", url), alertmanager=asked, log=asked)

        def tell(line: str) -> None:
            said.append(line)
            server.tell({"labels": {"alertname": "RQWatchdog", "severity": "info"}})

        assert rules_arrive(path, tell=tell) == ""
        assert rules_arrive(path, tell=tell) == ""
    assert said == ["Waiting up to 75 s for RQWatchdog: after a start it takes a minute."]
