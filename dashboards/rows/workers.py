"""Rows that the RQ Dashboard and RQ Workers share: how fast work gets done, and what each worker does."""

from grafanalib import core

from dashboards.kit import panels, theme
from dashboards.kit.links import READ_WORKERS
from dashboards.kit.queries import RATE_INTERVAL, RECENT, known, or_zero, rate, select
from dashboards.kit.theme import CRITICAL, NEUTRAL, OK, STATE_COLORS, above, steps
from dashboards.rows.queue_pace import NO_WORKER
from rqmon.metrics import (
    RQ_WORKERS,
    RQ_WORKERS_FAILED_TOTAL,
    RQ_WORKERS_SUCCESS_TOTAL,
    RQ_WORKERS_WORKING_TIME_TOTAL,
)
from rqmon.states import WORKER_STATES
from rqmon.thresholds import BUSY_SHARE

# Larger than any share, so that it counts as the worst.
_NOBODY = 2


def utilisation() -> core.GaugePanel:
    """How busy the workers of the busiest queues were recently."""
    by = "by (redis, queues)"
    busy_samples = f"sum {by} (count_over_time({select(RQ_WORKERS, state='busy')}[{RECENT}]))"
    all_samples = f"sum {by} (count_over_time({select(RQ_WORKERS)}[{RECENT}]))"
    here = f"group {by} ({select(RQ_WORKERS)})"
    busy = f"({busy_samples} / {all_samples} or 0 * {all_samples}) and {here}"
    nobody = f'{_NOBODY} * label_join(group by (queue) ({NO_WORKER}), "queues", "", "queue")'
    return panels.gauge(
        "Busiest queue's workers",
        "How much of the last 5 minutes the busiest workers, named by their queues, spent in jobs. Near 100% "
        "while jobs queue: add workers, or find out what they wait for. No worker: jobs that nobody takes.",
        {"{{queues}}": known(f"topk(1, max by (queues) ({nobody} or {busy}))")},
        thresholds=steps(OK, *above(BUSY_SHARE)),
        mappings=theme.text_for_values({_NOBODY: ("No worker", CRITICAL)}),
        reads_on=READ_WORKERS,
    )


def throughput() -> list[core.Panel]:
    """How fast work is done, and by how many workers."""
    counts = {state: f"count({select(RQ_WORKERS, state=state)})" for state in WORKER_STATES}
    colors = {state.capitalize(): STATE_COLORS[state] for state in WORKER_STATES}
    return [
        panels.row("Throughput and capacity"),
        panels.timeseries(
            "Jobs ended",
            "Jobs that succeeded and failed a second, retried ones too, by the workers' own counters. These "
            "end with their worker, so short-lived (burst) workers may be missing here.",
            {
                "Succeeded": or_zero(rate(RQ_WORKERS_SUCCESS_TOTAL)),
                "Failed executions": or_zero(rate(RQ_WORKERS_FAILED_TOTAL)),
            },
            unit=theme.JOBS_PER_SECOND,
            width=8,
            stacked=True,
            colors={"Succeeded": OK, "Failed executions": CRITICAL},
        ),
        panels.timeseries(
            "Workers by state",
            "How many workers are busy, idle, just started or suspended. Suspended ones take no job until "
            "somebody runs `rq resume`.",
            {state.capitalize(): or_zero(count) for state, count in counts.items()},
            unit="short",
            width=8,
            stacked=True,
            colors=colors,
        ),
        panels.timeseries(
            "Capacity",
            "The busy and the idle share of the workers. Nothing idle for long: jobs wait; add workers. "
            "Much idle while jobs queue: the workers listen to other queues.",
            {
                state.capitalize(): or_zero(f"{counts[state]} / count({select(RQ_WORKERS)})")
                for state in ("busy", "idle")
            },
            unit="percentunit",
            width=8,
            stacked=True,
            maximum=1,
            colors=colors,
        ),
    ]


def workers() -> list[core.Panel]:
    """What each worker does."""
    working = f"sum by (queues) (rate({select(RQ_WORKERS_WORKING_TIME_TOTAL)}[{RATE_INTERVAL}]))"
    codes = {"idle": 0, "busy": 1, "suspended": 2, "started": 3}
    states = " or ".join(f"{code} * {select(RQ_WORKERS, state=state)}" for state, code in codes.items())
    per_worker = {
        "Succeeded": RQ_WORKERS_SUCCESS_TOTAL,
        "Failed executions": RQ_WORKERS_FAILED_TOTAL,
        "Working time": RQ_WORKERS_WORKING_TIME_TOTAL,
    }
    return [
        panels.row("Workers"),
        panels.state_timeline(
            "Worker states",
            "What each worker was doing. Always busy: overloaded, or stuck in one job. Always idle: no work "
            "on its queues. Many short bands: workers restart; read their logs.",
            {"{{name}} {{queues}}": f"max by (name, queues) ({states})"},
            mappings=theme.text_for_values(
                {code: (state.capitalize(), STATE_COLORS[state]) for state, code in codes.items()}
            ),
            height=7,
        ),
        panels.table(
            "Worker totals",
            "What each living worker has done since it started; what is retried counts as failed here. One "
            "that fails much more than others on the same queues has a bad machine or old code.",
            {column: f"sum by (name, queues) ({select(metric)})" for column, metric in per_worker.items()},
            labels={"name": "Worker", "queues": "Queues"},
            width=12,
            overrides=[
                theme.column_thresholds("Failed executions", steps(NEUTRAL, (1, CRITICAL))),
                theme.column_unit("Working time", "s"),
            ],
            sort="Failed executions",
        ),
        panels.timeseries(
            "Working time",
            "How many workers the work kept busy: seconds of work a second, by the workers' queues. It is "
            "counted when a job ends, so a long job is a peak at its end.",
            {"{{queues}}": working},
            unit="short",
            width=12,
        ),
    ]
