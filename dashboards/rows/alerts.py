"""What fires: tiles and the table of the RQ Dashboard's first row, and a tile of RQ Monitoring itself."""

from grafanalib import core

from dashboards.kit import links, panels, theme
from dashboards.kit.queries import or_zero, select
from dashboards.kit.theme import CRITICAL, INFO, NEUTRAL, OK, WARNING, steps
from rqmon.metrics import ALERTS, ALERTS_FOR_STATE, WATCHDOG

_COLUMNS = {
    "alertname": "Problem",
    "queue": "Queue",
    "function": "Function",
    "entry": "Cron entry",
    "resource": "Limit",
}
_SEVERITIES = {3: ("Critical", CRITICAL), 2: ("Warning", WARNING), 1: ("Info", INFO)}
_STATES = {1: ("Firing", CRITICAL), 0: ("Pending", NEUTRAL)}


def count_firing(**labels: str) -> str:
    """How many fire; unknown where the alert that always fires does not."""
    firing = f"count({select(ALERTS, any_function=False, alertstate='firing', **labels)})"
    return or_zero(firing, by=ALERTS, alertname=WATCHDOG, alertstate="firing")


def firing() -> list[core.Panel]:
    """Does somebody have to act?"""
    return [
        panels.stat(
            "Critical alerts",
            "Alerts that fire and need somebody now, of every queue and server. Any: see which below; "
            "docs/runbooks.md says what to do. Unknown: Prometheus evaluates no rules.",
            {"Critical": count_firing(severity="critical")},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, CRITICAL)),
            width=3,
        ),
        panels.stat(
            "Warnings",
            "Alerts that fire and need somebody today, of every queue and server. Any: see which below; "
            "docs/runbooks.md says what to do. Unknown: Prometheus evaluates no rules.",
            {"Warnings": count_firing(severity="warning")},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, WARNING)),
            width=3,
        ),
    ]


def problems() -> core.Table:
    """On what does somebody have to act, and since when?"""
    of = ", ".join(_COLUMNS)

    def largest(expr: str) -> str:
        return f"max by ({of}) ({expr})"

    active = select(ALERTS, alertstate="pending|firing")
    severity = " or ".join(
        f"{code} * {select(ALERTS, alertstate='pending|firing', severity=text.lower())}"
        for code, (text, _) in _SEVERITIES.items()
    )
    fires, waits = (select(ALERTS, alertstate=state) for state in ("firing", "pending"))
    return panels.table(
        "Problems now",
        "Every alert whose condition holds, the most serious first, whatever is chosen above, and for how "
        "long. Pending: not yet for long enough to be sent. docs/runbooks.md has a section of each name; "
        "rqmon doctor and rqmon alerts say more.",
        {
            "Severity": largest(severity),
            "State": largest(f"{fires} or 0 * {waits}"),
            "For": f"{largest(f'time() - {select(ALERTS_FOR_STATE)}')} and on ({of}) {largest(active)}",
        },
        labels=_COLUMNS,
        width=24,
        overrides=[
            theme.column_unit("For", "s"),
            theme.column_mappings("Severity", theme.text_for_values(_SEVERITIES)),
            theme.column_mappings("State", theme.text_for_values(_STATES)),
            links.QUEUED.of_column("Queue"),
        ],
        sort="Severity",
        nothing="No problems",
    )
