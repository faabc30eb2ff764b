"""What fires: a row of the RQ Dashboard, and a tile of RQ Monitoring itself."""

from grafanalib import core

from dashboards.kit import panels, theme
from dashboards.kit.queries import or_zero, select
from dashboards.kit.theme import CRITICAL, OK, WARNING, steps
from rqmon.metrics import ALERTS, ALERTS_FOR_STATE, WATCHDOG

_COLUMNS = {"alertname": "Alert", "severity": "Severity", "queue": "Queue", "entry": "Cron entry"}


def count_firing(**labels: str) -> str:
    """How many fire; unknown where the alert that always fires does not."""
    firing = f"count({select(ALERTS, any_function=False, alertstate='firing', **labels)})"
    return or_zero(firing, by=ALERTS, alertname=WATCHDOG, alertstate="firing")


def alerts() -> list[core.Panel]:
    """Does somebody have to act, on what, and since when?"""
    of = ", ".join(_COLUMNS)
    holds = f"max by ({of}) (time() - {select(ALERTS_FOR_STATE)})"
    firing = f"max by ({of}) ({select(ALERTS, alertstate='firing')})"
    return [
        panels.row("Alerts"),
        panels.stat(
            "Critical alerts",
            "Alerts that fire and need somebody now, of every queue and server. Any: see which beside; "
            "docs/runbooks.md says what to do. Unknown: Prometheus evaluates no rules.",
            {"Critical": count_firing(severity="critical")},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, CRITICAL)),
        ),
        panels.stat(
            "Warnings",
            "Alerts that fire and need somebody today, of every queue and server. Any: see which beside; "
            "docs/runbooks.md says what to do. Unknown: Prometheus evaluates no rules.",
            {"Warnings": count_firing(severity="warning")},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, WARNING)),
        ),
        panels.table(
            "Firing now",
            "Every alert that fires, whatever is chosen above, and for how long what it says has been so. "
            "docs/runbooks.md has a section of each name; rqmon alerts says more.",
            {"For": f"{holds} and on ({of}) {firing}"},
            labels=_COLUMNS,
            width=16,
            overrides=[theme.column_unit("For", "s")],
            sort="For",
        ),
    ]
