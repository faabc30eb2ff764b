"""One test alert through the whole path, and whether the receiver has it."""

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rqmon.alerting.app import PATH
from rqmon.alerting.client import AlertingError, Server
from rqmon.metrics import WATCHDOG
from rqmon.resources import command_line

_POLL_SECONDS = 0.2
# Prometheus sends what fires each minute: an Alertmanager that was away has it then.
_WATCHDOG_SECONDS = 75.0
# How long a call to the dead man's switch, once begun, is waited for.
_CALL_SECONDS = 10.0
# Where the log is told, all others are told elsewhere.
LOG = "alert_log"
WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of a test alert.

    Attributes:
        receiver: `alert_log`, or how Alertmanager tells it: slack, email, webhook, pagerduty.
        seconds: From when it was sent; None when it was not delivered.
        problem: Why not; empty when it was.
    """

    receiver: str
    seconds: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The three on an alert's way."""

    prometheus: Server
    alertmanager: Server
    log: Server


def rules_arrive(path: Path, *, tell: Callable[[str], None]) -> str:
    """Why what Prometheus finds does not reach Alertmanager; empty when the watchdog shows that it does.

    Args:
        path: Where they are.
        tell: Is given a line for people if there is something to wait for.

    Raises:
        AlertingError: One of them does not answer.
    """
    path.prometheus.query("alerts")
    started, told = time.monotonic(), False
    while time.monotonic() - started < _WATCHDOG_SECONDS:
        arrived = path.alertmanager.get("/api/v2/alerts")
        if any(it["labels"].get("alertname") == WATCHDOG for it in arrived):
            return ""
        if not told:
            tell(f"Waiting up to {_WATCHDOG_SECONDS:g} s for {WATCHDOG}: after a start it takes a minute.")
            told = True
        time.sleep(_POLL_SECONDS)
    return f"Alertmanager has no {WATCHDOG}: Prometheus does not evaluate the rules, or does not reach it"


def send_test(
    path: Path,
    *,
    name: str,
    integrations: list[str],
    has_switch: bool,
    timeout_seconds: float,
    tell: Callable[[str], None],
) -> list[Delivery]:
    """Send one to every receiver that there is, and wait until each has it.

    The log is asked for this very alert. Others can't be asked: that Alertmanager's count of what it
    delivered to them rises, and that of failures does not, says that they took it.

    Args:
        path: Where they are.
        name: Of the alert; Alertmanager's configuration sends it to all receivers at once.
        integrations: Alertmanager's names of the ways to tell; `alert_log` for the log.
        has_switch: Whether a dead man's switch is called too, which Alertmanager counts as a webhook.
        timeout_seconds: How long to wait.
        tell: Is given a line for people once there is something to wait for.

    Raises:
        AlertingError: Alertmanager does not take it.
    """
    with contextlib.ExitStack() as stack:
        if has_switch and WEBHOOK in integrations:
            stack.enter_context(_switch_uncalled(path.alertmanager, seconds=timeout_seconds + _CALL_SECONDS))
        return _send(path, name, integrations, timeout_seconds=timeout_seconds, tell=tell)


@contextlib.contextmanager
def _switch_uncalled(alertmanager: Server, *, seconds: float) -> Iterator[None]:
    """Silence the watchdog meanwhile: a call to its URL must not pass for one to the webhook's."""
    now = datetime.now(UTC)
    silence = alertmanager.post(
        "/api/v2/silences",
        {
            "matchers": [{"name": "alertname", "value": WATCHDOG, "isRegex": False}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(seconds=seconds)).isoformat(),
            "createdBy": "rqmon alerts test",
            "comment": "The test counts calls of webhooks, and the dead man's switch is one.",
        },
    )
    try:
        deadline = time.monotonic() + _CALL_SECONDS
        while _under_way(alertmanager.text("/metrics")) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        alertmanager.delete(f"/api/v2/silence/{silence['silenceID']}")


def _under_way(metrics: str) -> bool:
    """Whether a call of a webhook has begun and not ended."""
    begun = _total(metrics, "notifications").get(WEBHOOK, 0.0)
    given_up = _total(metrics, "notifications_failed").get(WEBHOOK, 0.0)
    return begun > given_up + _succeeded(metrics).get(WEBHOOK, 0.0)


def _send(
    path: Path,
    name: str,
    integrations: list[str],
    *,
    timeout_seconds: float,
    tell: Callable[[str], None],
) -> list[Delivery]:
    mark = secrets.token_hex(8)
    before = _counts(path.alertmanager)
    started, now = time.monotonic(), datetime.now(UTC)
    alert = {
        "labels": {"alertname": name, "severity": "info", "test": mark},
        "annotations": {
            "summary": "This is a test",
            "description": "Somebody ran `rqmon alerts test`. Nothing is wrong.",
        },
        "startsAt": now.isoformat(),
        # A pager's incident ends with it.
        "endsAt": (now + timedelta(seconds=timeout_seconds)).isoformat(),
    }
    path.alertmanager.post("/api/v2/alerts", [alert])
    tell(f"Sent. Waiting up to {timeout_seconds:g} s for {', '.join(integrations)}.")
    found: dict[str, Delivery] = {}
    while len(found) < len(integrations) and time.monotonic() - started < timeout_seconds:
        counts = _counts(path.alertmanager)
        for integration in set(integrations) - found.keys():
            seconds = time.monotonic() - started
            if integration == LOG:
                if _is_logged(path.log, mark):
                    found[LOG] = Delivery(receiver=LOG, seconds=seconds)
            elif counts[integration] > before[integration]:
                found[integration] = Delivery(receiver=integration, seconds=seconds)
        time.sleep(_POLL_SECONDS)
    path.alertmanager.post("/api/v2/alerts", [{**alert, "endsAt": datetime.now(UTC).isoformat()}])
    return [
        found.get(each)
        or Delivery(
            receiver=each,
            seconds=None,
            problem=f"not delivered in {timeout_seconds:g} s: {command_line('logs alertmanager')} says why",
        )
        for each in integrations
    ]


def _is_logged(log: Server, mark: str) -> bool:
    try:
        told = log.get(f"{PATH}?last=50")
    except AlertingError:  # it may be started again meanwhile
        return False
    return any(alert["labels"].get("test") == mark for it in told for alert in it["alerts"])


def _counts(alertmanager: Server) -> Mapping[str, float]:
    """How many requests of each kind succeeded; a notification is counted before its first request."""
    found = _succeeded(alertmanager.text("/metrics"))
    if not found:
        raise AlertingError(f"What answers at {alertmanager.url} is not Alertmanager")
    return found


def _succeeded(metrics: str) -> Mapping[str, float]:
    failed = _total(metrics, "notification_requests_failed")
    return {
        integration: number - failed.get(integration, 0.0)
        for integration, number in _total(metrics, "notification_requests").items()
    }


def _total(metrics: str, name: str) -> Mapping[str, float]:
    """{integration: value}, summed over the other labels that newer versions have."""
    pattern = rf'^alertmanager_{name}_total{{(?:[^}}]*,)?integration="(\w+)"[^}}]*}} (\S+)$'
    found: dict[str, float] = {}
    for integration, value in re.findall(pattern, metrics, re.MULTILINE):
        found[integration] = found.get(integration, 0.0) + float(value)
    return found
