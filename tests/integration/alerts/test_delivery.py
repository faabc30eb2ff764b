"""A real Alertmanager tells real servers in the place of Slack, mail and a pager: what people read."""

import email
import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from rqmon.stack.receivers import alertmanager_config
from tests.processes.alertmanager_process import PROGRAM, alertmanager
from tests.processes.http_receiver import http_server
from tests.servers import free_port, wait_for

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(PROGRAM is None, reason="alertmanager is not on PATH; install the system's"),
]
LOG = "http://127.0.0.1:1/"
QUEUE = "<!channel> & co"
RUNBOOK = "http://127.0.0.1:9095/runbooks#rqqueuenoworkers"
DASHBOARD = "http://127.0.0.1:4000/d/rq-queues?var-queue=a&var-redis=b"
FIRING = {
    "labels": {
        "alertname": "RQQueueNoWorkers",
        "severity": "critical",
        "job": "rq-exporter",
        "instance": "rq-exporter",
        "queue": QUEUE,
    },
    "annotations": {
        "summary": f"Nobody works on {QUEUE}",
        "description": f"3 jobs wait in {QUEUE}, and no worker listens to it.",
        "runbook_url": RUNBOOK,
        "dashboard_url": DASHBOARD,
    },
}
RESOLVED = {**FIRING, "endsAt": "2026-01-02T00:00:00Z", "startsAt": "2026-01-01T00:00:00Z"}
WARNING = {**FIRING, "labels": {**FIRING["labels"], "alertname": "RQQueueLatencyHigh", "severity": "warning"}}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate of localhost, with its key."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


@contextmanager
def mail_server(certificate: Path) -> Iterator[tuple[str, list[EmailMessage], list[bytes]]]:
    """A mail server that asks for STARTTLS and a login, as most do."""
    mails: list[EmailMessage] = []
    logins: list[bytes] = []

    class Handler:
        async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
            mails.append(email.message_from_bytes(envelope.content, policy=default))
            return "250 OK"

    def authenticate(_server: SMTP, _session: Session, _mail: Envelope, _how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        logins.append(data.login)
        return AuthResult(success=data.password == b"se'c\"ret", handled=False)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    port = free_port()
    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        # It asks for "User Name"; Alertmanager knows "Username:" alone.
        auth_exclude_mechanism=["LOGIN"],
        authenticator=authenticate,
    )
    controller.start()
    try:
        yield f"localhost:{port}", mails, logins
    finally:
        controller.stop()


def mail_variables(address: str, *, password: str = "se'c\"ret") -> dict[str, str]:
    return {
        "RQMON_ALERT_EMAIL_TO": "team@example.org",
        "RQMON_ALERT_EMAIL_FROM": "rqmon@example.org",
        "RQMON_ALERT_EMAIL_SMARTHOST": address,
        "RQMON_ALERT_EMAIL_USERNAME": "rqmon",
        "RQMON_ALERT_EMAIL_PASSWORD": password,
    }


def test_slack_shows_what_it_is_and_what_to_do(tmp_path):
    with http_server() as (url, posted):
        config = alertmanager_config({"RQMON_ALERT_SLACK_WEBHOOK_URL": f"{url}/T/B/X"}, log_url=LOG)
        with alertmanager(tmp_path, config) as server:
            for alert, number in ((FIRING, 1), (RESOLVED, 2)):
                server.tell(alert)
                wait_for(lambda number=number: len(posted) == number, what="Slack is told")
    # A queue's name is text: it neither calls everybody nor looks like a link.
    queue = "&lt;!channel&gt; &amp; co"
    for status, post in zip(("firing", "resolved"), posted, strict=True):
        [shown] = post["attachments"]
        assert shown["title"] == shown["fallback"] == f"{status.upper()}: RQQueueNoWorkers {queue}"
        assert shown["text"].strip().splitlines() == [
            f"RQQueueNoWorkers, critical, {status}",
            f"Nobody works on {queue}. 3 jobs wait in {queue}, and no worker listens to it.",
            f"What to do: {RUNBOOK}",
            f"Dashboard: {DASHBOARD.replace('&', '&amp;')}",
        ]
    assert [post["attachments"][0]["color"] for post in posted] == ["danger", "good"]


def test_mail_shows_what_it_is_and_what_to_do(tmp_path, certificate):
    with mail_server(certificate) as (address, mails, logins):
        config = alertmanager_config(mail_variables(address), log_url=LOG)
        with alertmanager(tmp_path, config, SSL_CERT_FILE=str(certificate / "cert.pem")) as server:
            for alert, number in ((FIRING, 1), (RESOLVED, 2)):
                server.tell(alert)
                wait_for(lambda number=number: len(mails) == number, what="the mail comes")
    assert logins == [b"rqmon", b"rqmon"]
    for status, mail in zip(("firing", "resolved"), mails, strict=True):
        assert (mail["To"], mail["From"]) == ("team@example.org", "rqmon@example.org")
        assert mail["Subject"] == f"{status.upper()}: RQQueueNoWorkers {QUEUE}"
        plain = mail.get_body(("plain",)).get_content()
        for line in (
            f"RQQueueNoWorkers, critical, {status}",
            f"Nobody works on {QUEUE}. 3 jobs wait in {QUEUE}, and no worker listens to it.",
            f"What to do: {RUNBOOK}",
            f"Dashboard: {DASHBOARD}",
        ):
            assert line in plain.splitlines()
        html = mail.get_body(("html",)).get_content()
        assert "<!channel>" not in html
        assert '<a href="http://127.0.0.1:4000/d/rq-queues?var-queue=a&amp;var-redis=b">' in html
        assert f'<a href="{RUNBOOK}">' in html
        assert f"{status.upper()}: RQQueueNoWorkers" in html


def test_a_pager_is_told_of_what_is_critical_alone_and_its_incident_ends(tmp_path):
    with http_server(202) as (url, posted), http_server() as (other_url, others):
        config = alertmanager_config({"RQMON_ALERT_PAGERDUTY_KEY": "0123456789abcdef"}, log_url=other_url)
        config["global"] = {"pagerduty_url": f"{url}/v2/enqueue"}
        with alertmanager(tmp_path, config) as server:
            server.tell({**WARNING, "labels": {**WARNING["labels"], "queue": "b"}})
            wait_for(lambda: len(others) == 1, what="the others are told of the warning")
            for alert, number in ((FIRING, 1), (RESOLVED, 2)):
                server.tell(alert)
                wait_for(lambda number=number: len(posted) == number, what="the pager is told")
    assert [event["event_action"] for event in posted] == ["trigger", "resolve"]
    assert posted[0]["dedup_key"] == posted[1]["dedup_key"]
    assert {event["routing_key"] for event in posted} == {"0123456789abcdef"}
    shown = posted[0]["payload"]
    assert shown["summary"] == f"FIRING: RQQueueNoWorkers {QUEUE}"
    assert shown["severity"] == "critical"
    for words in (f"Nobody works on {QUEUE}. 3 jobs", f"What to do: {RUNBOOK}", f"Dashboard: {DASHBOARD}"):
        assert words in shown["custom_details"]["firing"]
    assert "Labels" not in json.dumps(posted), "raw lists of labels"


def test_alerts_of_one_queue_come_in_one_message_which_names_each(tmp_path):
    with http_server() as (url, posted):
        config = alertmanager_config({"RQMON_ALERT_SLACK_WEBHOOK_URL": url}, log_url=LOG)
        with alertmanager(tmp_path, config) as server:
            other = {**WARNING, "labels": {**WARNING["labels"], "alertname": "RQRetryStorm"}}
            server.tell(WARNING, other)
            wait_for(lambda: len(posted) == 1, what="Slack is told")
    [shown] = posted[0]["attachments"]
    assert shown["title"] == "FIRING: 2 alerts &lt;!channel&gt; &amp; co"
    assert {"RQQueueLatencyHigh, warning, firing", "RQRetryStorm, warning, firing"} <= {
        *shown["text"].splitlines()
    }


@pytest.mark.parametrize("how", ["slack", "pagerduty", "webhook", "email"])
def test_a_server_that_refuses_is_counted_as_failed(tmp_path, certificate, how):
    with http_server(403) as (url, _), mail_server(certificate) as (address, _mails, _logins):
        variables = {
            "slack": {"RQMON_ALERT_SLACK_WEBHOOK_URL": url},
            "pagerduty": {"RQMON_ALERT_PAGERDUTY_KEY": "0123"},
            "webhook": {"RQMON_ALERT_WEBHOOK_URL": url},
            "email": mail_variables(address, password="another"),
        }[how]
        config = alertmanager_config(variables, log_url=LOG)
        config["global"] = {"pagerduty_url": url}
        with alertmanager(tmp_path, config, SSL_CERT_FILE=str(certificate / "cert.pem")) as server:
            assert server.failed(how) == 0
            server.tell(FIRING)
            # What RQAlertsNotDelivered is about. Mail is tried again for ten seconds.
            wait_for(lambda: server.failed(how) > 0, what="it is counted")


def test_a_dead_man_s_switch_is_called_while_all_is_well_and_never_told_that_it_is_over(tmp_path):
    with http_server() as (url, called), http_server() as (other_url, others):
        config = alertmanager_config(
            {"RQMON_ALERT_WATCHDOG_URL": f"{url}/ping", "RQMON_ALERT_WEBHOOK_URL": other_url}, log_url=LOG
        )
        [route] = [it for it in config["route"]["routes"] if it["receiver"] == "watchdog"]
        route["repeat_interval"] = "2s"
        watchdog = {"labels": {"alertname": "RQWatchdog", "severity": "info"}}
        with alertmanager(tmp_path, config) as server:
            server.tell(watchdog)
            wait_for(lambda: len(called) >= 3, what="it is called again and again")
            server.tell({**watchdog, "startsAt": RESOLVED["startsAt"], "endsAt": RESOLVED["endsAt"]})
            # Told later, and at once: what would be told of the watchdog's end has been told by then.
            server.tell(FIRING, RESOLVED)
            server.tell({**WARNING, "labels": {**WARNING["labels"], "queue": "b"}})
            wait_for(lambda: others, what="the others are told")
    assert {alert["status"] for call in called for alert in call["alerts"]} == {"firing"}
    assert {alert["labels"]["alertname"] for call in called for alert in call["alerts"]} == {"RQWatchdog"}
    assert "RQWatchdog" not in json.dumps(others)


def test_a_warning_that_ends_while_its_cause_fires_is_not_told_as_resolved(tmp_path):
    with (
        http_server() as (url, posted),
        alertmanager(tmp_path, alertmanager_config({}, log_url=url)) as server,
    ):

        def told() -> list[tuple[str, str]]:
            return [(it["labels"]["alertname"], it["status"]) for post in posted for it in post["alerts"]]

        expected = [("RQQueueLatencyHigh", "firing")]
        server.tell(WARNING)
        wait_for(lambda: told() == expected, what="the warning is told")
        server.tell(FIRING)
        expected.append(("RQQueueNoWorkers", "firing"))
        wait_for(lambda: told() == expected, what="the cause is told")
        server.tell({**WARNING, "startsAt": RESOLVED["startsAt"], "endsAt": RESOLVED["endsAt"]})
        # Told a second later: by then Alertmanager has looked at the warning's end.
        server.tell({**WARNING, "labels": {**WARNING["labels"], "alertname": "RQRetryStorm", "queue": "b"}})
        expected.append(("RQRetryStorm", "firing"))
        wait_for(lambda: told() == expected, what="another queue's is told")
        server.tell(RESOLVED)
        expected.append(("RQQueueNoWorkers", "resolved"))
        wait_for(lambda: told() == expected, what="the end of the cause is told")
