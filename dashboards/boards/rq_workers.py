"""The "RQ Workers" dashboard: how many workers there are, what each does, and which of them died.

"Throughput and capacity", "Workers" and "Busiest queue's workers" are in rows/workers.py.
"""

from grafanalib import core

from dashboards.kit import links, panels, theme
from dashboards.kit.common import dashboard
from dashboards.kit.queries import RATE_INTERVAL, events_by_step, known, or_zero, select
from dashboards.kit.theme import CRITICAL, INFO, OK, WARNING, steps
from dashboards.rows.workers import throughput, utilisation, workers
from rqmon.metrics import (
    RQ_REDIS_UP,
    RQ_SUSPENDED,
    RQ_WORK_HORSES_KILLED_TOTAL,
    RQ_WORKERS,
    RQ_WORKERS_BY_STATE,
    RQ_WORKERS_STALE,
)


def build() -> core.Dashboard:
    """Return all sections, from the first question to the last detail."""
    return dashboard(
        "RQ Workers",
        "rq-workers",
        "How many workers there are, what each of them does, and which of them died.",
        [*now(), *throughput(), *deaths(), *workers()],
        without=("function",),
    )


def now() -> list[core.Panel]:
    """Are there workers, do they work, and are they alive?"""
    return [
        panels.row("Workers now"),
        panels.stat(
            "Registered workers",
            "Workers on any queue, whichever is chosen above. Fewer than you started: see Workers gone, "
            "below, and their logs. One that was killed counts until its key in Redis ends.",
            {"Workers": known(f"sum({select(RQ_WORKERS_BY_STATE)})")},
            unit=theme.COUNT,
            thresholds=steps(CRITICAL, (1, OK)),
        ),
        *(
            panels.stat(
                f"{state.capitalize()} now",
                f"{meaning} Only those that listen to the chosen queues.",
                {state.capitalize(): or_zero(f"count({select(RQ_WORKERS, state=state)})")},
                unit=theme.COUNT,
                thresholds=steps(INFO),
            )
            for state, meaning in {
                "busy": "Workers in a job. All of them for long while jobs queue: add workers.",
                "idle": "Workers that wait for a job. Many while jobs queue: they listen to other queues.",
            }.items()
        ),
        utilisation(),
        panels.stat(
            "Silent workers",
            "Workers on any queue whose sign of life is overdue by half a minute, each by its own interval: "
            "they hang or were killed; RQ gives up their jobs after 90 s.",
            {"Silent": known(f"sum({select(RQ_WORKERS_STALE)})")},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, WARNING)),
        ),
        panels.stat(
            "Taking jobs",
            "Whether RQ's workers may take jobs. Suspended: somebody ran `rq suspend`; jobs queue up until "
            "`rq resume`.",
            {"Suspended": known(f"max({select(RQ_SUSPENDED)})")},
            unit="short",
            thresholds=steps(OK, (1, WARNING)),
            mappings=theme.text_for_values({0: ("Yes", OK), 1: ("Suspended", WARNING)}),
        ),
    ]


def deaths() -> list[core.Panel]:
    """Workers that went away, and processes killed while they ran a job."""
    seen = f"max by (redis, name) (last_over_time({select(RQ_WORKERS)}[{RATE_INTERVAL}]))"
    still = f"max by (redis, name) ({select(RQ_WORKERS)})"
    answers = f"max by (redis) ({select(RQ_REDIS_UP)} == 1)"
    return [
        panels.row("Deaths"),
        panels.timeseries(
            "Workers gone",
            "Workers that were registered a moment ago and are not any more. Each restart or deploy is a "
            "peak; peaks at other times are crashes: read the workers' logs, look for lack of memory.",
            {"Gone": or_zero(f"count(({seen} unless {still}) and on (redis) {answers})")},
            unit="short",
            width=12,
            colors={"Gone": WARNING},
        ),
        panels.bars(
            "Work horses killed",
            "Processes that died while they ran a job, by the job's queue. Above zero: out of memory, a "
            "crash in native code, or a kill; the worker's log names the signal.",
            {"{{queue}}": events_by_step(RQ_WORK_HORSES_KILLED_TOTAL, by="queue")},
            unit="short",
            width=12,
            link=links.FAILED,
        ),
    ]
