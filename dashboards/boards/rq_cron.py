"""The "RQ Cron & scheduled" dashboard: what is due when, what happened to it, and what is overdue.

The panels about scheduled jobs are in rows/shared.py.
"""

from grafanalib import core

from dashboards.kit import panels, theme
from dashboards.kit.common import dashboard
from dashboards.kit.queries import (
    events,
    events_by_step,
    known,
    or_zero,
    quantile,
    select,
)
from dashboards.kit.theme import CRITICAL, INFO, NEUTRAL, OK, SLOT_COLORS, WARNING, above, steps
from dashboards.rows import shared
from rqmon.metrics import (
    RQ_CRON_ENTRIES,
    RQ_CRON_ENTRIES_PASSED_OVER,
    RQ_CRON_ENTRY_INFO,
    RQ_CRON_LAST_RUN_TIMESTAMP_SECONDS,
    RQ_CRON_LATENESS_SECONDS,
    RQ_CRON_NEXT_RUN_TIMESTAMP_SECONDS,
    RQ_CRON_PROCESSES,
    RQ_CRON_SLOTS_TOTAL,
    RQ_QUEUE_SCHEDULED_OVERDUE_JOBS,
)
from rqmon.states import CRON_OUTCOMES
from rqmon.thresholds import CRON_OVERDUE, OVERDUE_JOBS

COLUMNS = {"function": "Function", "schedule": "Schedule", "timezone": "Time zone", "queue": "Queue"}


def build() -> core.Dashboard:
    """Return all sections, from the first question to the last detail."""
    return dashboard(
        "RQ Cron & scheduled",
        "rq-cron",
        "Whether what repeats and what was scheduled is queued when its time comes.",
        [*now(), *entries(), *slots(), *scheduled()],
    )


def now() -> list[core.Panel]:
    """Is everything queued in time? All green means yes."""
    return [
        panels.row("Is everything queued in time?"),
        panels.stat(
            "Cron processes",
            "Processes that live and get their work done. None: no cron job is queued; start "
            "cron-scheduler.py, or see `rqmon cron health`. Several share the work.",
            {"Processes": known(f"sum({select(RQ_CRON_PROCESSES)})")},
            unit=theme.COUNT,
            thresholds=steps(CRITICAL, (1, OK)),
            width=3,
        ),
        panels.stat(
            "Cron entries",
            "Jobs that repeat, paused ones too. Fewer than you expect: `rqmon cron diff` compares Redis with "
            "the file that declares them.",
            {"Entries": known(f"sum({select(RQ_CRON_ENTRIES)})")},
            unit=theme.COUNT,
            thresholds=steps(INFO),
            width=3,
        ),
        panels.stat(
            "Passed over",
            "Entries whose job can't be queued, as one of their fields can't be. The others run. Above zero: "
            "`rqmon cron health` names them and says why; register them again.",
            {"Passed over": known(f"max({select(RQ_CRON_ENTRIES_PASSED_OVER)})")},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, CRITICAL)),
            width=3,
        ),
        shared.missed_slots(),
        panels.stat(
            "Late",
            "Slots in the time range whose job was queued later than the entry allows. Above zero: the cron "
            "process was away or starved, or Redis was slow.",
            {"Late": or_zero(events(RQ_CRON_SLOTS_TOTAL, outcome="late"))},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, WARNING)),
            width=3,
        ),
        panels.stat(
            "Overdue jobs",
            "Scheduled jobs whose time has come and that are not queued. A few are usual: RQ looks once a "
            "second. Many, or a Worst delay that is not green: see Overdue by queue.",
            {"Overdue": or_zero(f"sum({select(RQ_QUEUE_SCHEDULED_OVERDUE_JOBS)})")},
            unit=theme.COUNT,
            thresholds=steps(OK, *above(OVERDUE_JOBS)),
        ),
        shared.worst_delay(),
    ]


def entries() -> list[core.Panel]:
    """What repeats."""
    next_run = select(RQ_CRON_NEXT_RUN_TIMESTAMP_SECONDS)
    return [
        panels.row("Cron entries"),
        panels.table(
            "Entries",
            "What repeats, when, and what became of its slots in the time range; a paused entry has no next "
            "run. Overdue for more than the seconds between two scrapes: see Cron processes.",
            {
                "Next run in": _described(f"clamp_min({next_run} - time(), 0)"),
                "Overdue by": _described(f"clamp_min(time() - {next_run}, 0)"),
                "Last run ago": _described(f"time() - {select(RQ_CRON_LAST_RUN_TIMESTAMP_SECONDS)}"),
                **{
                    outcome.capitalize(): _described(
                        events(RQ_CRON_SLOTS_TOTAL, by="redis, entry", outcome=outcome)
                    )
                    for outcome in CRON_OUTCOMES
                },
            },
            labels={"entry": "Entry", **COLUMNS, "redis": "Redis"},
            width=24,
            overrides=[
                theme.column_unit("Next run in", "s"),
                theme.column_unit("Overdue by", "s"),
                theme.column_thresholds("Overdue by", steps(NEUTRAL, *above(CRON_OVERDUE))),
                theme.column_unit("Last run ago", "s"),
                theme.column_thresholds("Missed", steps(NEUTRAL, (1, CRITICAL))),
                theme.column_thresholds("Late", steps(NEUTRAL, (1, WARNING))),
            ],
            sort="Missed",
        ),
    ]


def slots() -> list[core.Panel]:
    """What became of the entries' slots."""
    codes = {outcome: code for code, outcome in enumerate(CRON_OUTCOMES)}
    # The worst outcome comes first: `or` keeps it.
    happened = {
        outcome: events_by_step(RQ_CRON_SLOTS_TOTAL, by="redis, entry", outcome=outcome)
        for outcome in ("missed", "late", "skipped", "ran")
    }
    worst_first = [f"{codes[outcome]} * sgn({expr} > 0)" for outcome, expr in happened.items()]
    return [
        panels.row("Slots"),
        panels.bars(
            "Slots by outcome",
            "What became of the slots that were due: queued in time, late, missed while no cron process ran, "
            "or skipped as the job before was not done. Skipped often: the job takes longer than its "
            "interval.",
            {
                outcome.capitalize(): events_by_step(RQ_CRON_SLOTS_TOTAL, outcome=outcome)
                for outcome in CRON_OUTCOMES
            },
            unit="short",
            width=12,
            colors={outcome.capitalize(): SLOT_COLORS[outcome] for outcome in CRON_OUTCOMES},
        ),
        panels.timeseries(
            "Lateness",
            "How far behind their slots jobs were queued, for half, 95% and 99% of them. Usually below 0.1 "
            "s. Higher: too many entries are due at once, or the process or Redis is slow.",
            {f"p{share * 100:.0f}": quantile(share, RQ_CRON_LATENESS_SECONDS) for share in (0.5, 0.95, 0.99)},
            unit="s",
            width=12,
        ),
        panels.state_timeline(
            "Slots of each entry",
            "What became of each entry's slots, where it had some; the worst where it had several. Red or "
            "orange in all rows: the cron process was away. In one: look at that entry's history.",
            {"{{entry}}": _described(" or ".join(worst_first))},
            mappings=theme.text_for_values(
                {code: (outcome.capitalize(), SLOT_COLORS[outcome]) for outcome, code in codes.items()}
            ),
            height=7,
        ),
    ]


def scheduled() -> list[core.Panel]:
    """Jobs that run once, at a later time."""
    return [
        panels.row("Scheduled jobs"),
        shared.scheduled_by_queue(width=8),
        shared.overdue_by_queue(),
        shared.worst_delay_by_queue(),
    ]


def _described(expr: str) -> str:
    """Add the entry's labels to `expr`; narrow it to the chosen queues and functions."""
    about = ", ".join(COLUMNS)
    info = f"on (redis, entry) group_left ({about}) {select(RQ_CRON_ENTRY_INFO)}"
    return f"max by (redis, entry, {about}) (({expr}) * {info})"
