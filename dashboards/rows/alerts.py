"""What fires or is about to: a tile of two dashboards, and the RQ Dashboard's table "Problems now"."""

from collections import defaultdict

from grafanalib import core

from dashboards.alerts.files import ALERTS as DEFINED
from dashboards.kit import panels, theme
from dashboards.kit.links import READ_MONITORING, Board
from dashboards.kit.queries import known, or_zero, select
from dashboards.kit.theme import CRITICAL, NEUTRAL, OK, WARNING, above, steps
from dashboards.rows.failures import SHARE_BY_SERVER
from dashboards.rows.queue_pace import HELD
from rqmon.metrics import ALERTS, ALERTS_FOR_STATE, RQ_QUEUE_OLDEST_JOB_AGE_SECONDS, WATCHDOG
from rqmon.thresholds import FAILING_SHARE, OLDEST_JOB_AGE, QUEUED_JOBS

# Worst first. What is pending breaks its threshold too, and not yet for long enough to be told.
_GRAVITY = {
    5: ("Critical", CRITICAL, {"alertstate": "firing", "severity": "critical"}),
    4: ("Critical, just now", CRITICAL, {"alertstate": "pending", "severity": "critical"}),
    3: ("Warning", WARNING, {"alertstate": "firing", "severity": "warning"}),
    2: ("Warning, just now", WARNING, {"alertstate": "pending", "severity": "warning"}),
    1: ("Note", NEUTRAL, {"alertstate": "firing|pending", "severity": "info"}),
}
_STATES = {
    6: ("Unknown", CRITICAL),
    **{number: (text, color) for number, (text, color, _) in _GRAVITY.items()},
    0: ("No problems", OK),
}
_ROW = "alertname, where, dashboard, runbook"
# What an alert may be about, by its labels.
_PLACES = ("function", "queue", "entry", "resource", "redis")


def count_firing(**labels: str) -> str:
    """How many fire; unknown where the alert that always fires does not."""
    firing = f"count({select(ALERTS, any_function=False, alertstate='firing', **labels)})"
    return or_zero(firing, by=ALERTS, alertname=WATCHDOG, alertstate="firing")


def alerts_firing() -> core.Stat:
    """Does somebody have to act now, or today?"""
    colors = {"critical": steps(OK, (1, CRITICAL)), "warnings": steps(OK, (1, WARNING))}
    return panels.stat(
        "Alerts firing",
        "Alerts that need somebody now (critical) or today (warnings), of every queue and server. Any: see "
        "Problems now on the RQ Dashboard. Unknown: Prometheus evaluates no rules.",
        {"critical": count_firing(severity="critical"), "warnings": count_firing(severity="warning")},
        unit=theme.COUNT,
        thresholds=steps(OK, (1, WARNING)),
        overrides=[theme.thresholds_of(name, color) for name, color in colors.items()],
        named=True,
        reads_on=READ_MONITORING,
    )


def problems() -> core.Table:
    """What breaks a threshold, where, and since when?"""
    every = select(ALERTS)
    graded = " or ".join(
        f"{number} * {select(ALERTS, any_function=False, **of)}" for number, (*_, of) in _GRAVITY.items()
    )
    watchdog = select(ALERTS, alertname=WATCHDOG, alertstate="firing")
    none = _named("No problems", known(f"0 * group({watchdog}) unless on () {every}"))
    unknown = _named("No rules are evaluated", f"6 * absent({watchdog})")
    of_queue = {
        "Waiting": HELD,
        "Oldest": f"max by (redis, queue) ({select(RQ_QUEUE_OLDEST_JOB_AGE_SECONDS)})",
        "Failing": SHARE_BY_SERVER,
    }
    return panels.table(
        "Problems now",
        "Every alert that fires or is pending, whatever is chosen above, and for how long; just now: not for "
        "long enough to be sent. Waiting, Oldest and Failing are of the chosen queues and functions.",
        {
            "State": f"{_row(graded)} or {none} or {unknown}",
            "For": _row(f"time() - {select(ALERTS_FOR_STATE)}"),
            **{
                name: _row(f"0 * {every} + on (redis, queue) group_left () ({expr})")
                for name, expr in of_queue.items()
            },
        },
        labels={"alertname": "Problem", "where": "Where"},
        last_labels={"dashboard": "Look at", "runbook": "What to do"},
        width=24,
        overrides=[
            theme.column_mappings("State", theme.text_for_values(_STATES)),
            theme.column_unit("For", "s"),
            theme.column_thresholds("Waiting", steps(NEUTRAL, *above(QUEUED_JOBS))),
            theme.column_thresholds("Oldest", steps(NEUTRAL, *above(OLDEST_JOB_AGE))),
            theme.column_unit("Oldest", "s"),
            theme.column_thresholds("Failing", steps(NEUTRAL, *above(FAILING_SHARE))),
            theme.column_unit("Failing", "percentunit"),
            Board("Look at it", "${__data.fields.dashboard}").of_column("Look at"),
        ],
        sort="State",
        no_value=theme.UNKNOWN_TEXT,
    )


def _named(problem: str, expr: str) -> str:
    return f'label_replace({expr}, "alertname", "{problem}", "", "")'


def _row(expr: str) -> str:
    """Return `expr` of alerts, with where it is, where one looks at it and what to do."""
    looked_at = defaultdict(list)
    for alert in DEFINED:
        looked_at[alert.dashboard].append(alert.name)
    places = ", ".join(f'"{label}"' for label in _PLACES)
    expr = f'label_join({expr}, "where", " ", {places})'
    expr = f'label_replace({expr}, "where", "$1", "where", " *(.*?) *")'
    expr = f'label_replace({expr}, "runbook", "docs/runbooks.md, $1", "alertname", "(.+)")'
    for uid, names in looked_at.items():
        expr = f'label_replace({expr}, "dashboard", "{uid}", "alertname", "{"|".join(names)}")'
    return f"max by ({_ROW}) ({expr})"
