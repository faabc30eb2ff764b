"""What fires now, and whether somebody is told of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rqmon.alerting.client import AlertingError, Server
from rqmon.metrics import WATCHDOG

_SEVERITIES = ("critical", "warning", "info")
# What says where it is, beside the server; an alert has one of them for the most part.
_ABOUT = ("queue", "entry", "resource", "function", "code", "reason", "kind", "integration", "redis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """An alert that fires or is pending.

    Attributes:
        name: Its name.
        severity: critical, warning or info.
        since: When its expression began to hold.
        queue: The queue it is about; empty when it is about none.
        about: What else it is about: an entry, a function, a server ...
        told: "told", "silenced", "told of its cause", "not yet" while it is pending, or "unknown" when
            Alertmanager does not know it.
        summary: A sentence.
        description: With its numbers.
        runbook: Where to read on.
        dashboard: The dashboard to look at.
    """

    name: str
    severity: str
    since: datetime
    queue: str
    about: str
    told: str
    summary: str
    description: str
    runbook: str
    dashboard: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What fires and what is pending, the most serious first, and what is wrong with the way alerts take."""

    firing: tuple[Firing, ...]
    pending: tuple[Firing, ...]
    problems: tuple[str, ...]


def firing(prometheus: Server, alertmanager: Server) -> Answer:
    """What fires beside the watchdog.

    Raises:
        AlertingError: Prometheus does not answer: nobody knows.
    """
    alerts = prometheus.query("alerts")["alerts"]
    problems = []
    if not any(it["labels"].get("alertname") == WATCHDOG and it["state"] == "firing" for it in alerts):
        problems.append(
            f"{WATCHDOG} does not fire: Prometheus has just started, or does not read this project's rules; "
            "what is not listed may fire all the same"
        )
    try:
        told = {_key(it["labels"]): _told(it["status"]) for it in alertmanager.get("/api/v2/alerts")}
    except AlertingError as error:
        told = {}
        problems.append(f"nobody is told of anything: {error}")

    def found(state: str, unlisted: str) -> tuple[Firing, ...]:
        listed = (
            _firing(it, told=told.get(_key(it["labels"]), unlisted))
            for it in alerts
            if it["labels"].get("alertname") != WATCHDOG and it["state"] == state
        )
        return tuple(sorted(listed, key=lambda it: (_rank(it.severity), it.since, it.name)))

    return Answer(
        firing=found("firing", "unknown"), pending=found("pending", "not yet"), problems=tuple(problems)
    )


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)


def _key(labels: dict[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def _told(status: dict[str, Any]) -> str:
    if status.get("silencedBy"):
        return "silenced"
    return "told of its cause" if status.get("inhibitedBy") else "told"


def _firing(alert: dict[str, Any], *, told: str) -> Firing:
    labels, annotations = alert["labels"], alert["annotations"]
    since = datetime.fromisoformat(alert["activeAt"][:19] + "+00:00")  # it has nanoseconds
    severity = labels.get("severity", "")
    return Firing(
        name=labels.get("alertname", ""),
        severity=severity,
        since=since,
        queue=labels.get("queue", ""),
        about=" ".join(f"{name}={labels[name]}" for name in _ABOUT[1:] if labels.get(name)),
        # Alertmanager has no receiver for it.
        told="told to nobody" if told == "told" and severity == "info" else told,
        summary=annotations.get("summary", ""),
        description=annotations.get("description", ""),
        runbook=annotations.get("runbook_url", ""),
        dashboard=annotations.get("dashboard_url", ""),
    )
