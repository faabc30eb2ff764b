"""The "RQ Jobs" dashboard: how often, how long and how well each function runs.

"Retries by queue" is in rows/shared.py; rows/failures.py defines what counts as failed for good.
"""

from grafanalib import core

from dashboards.kit import links, panels, theme
from dashboards.kit.common import dashboard
from dashboards.kit.queries import (
    RANGE,
    RATE_INTERVAL,
    RECENT,
    events,
    events_by_step,
    increase,
    known,
    or_zero,
    quantile,
    rate,
    select,
)
from dashboards.kit.theme import CRITICAL, INFO, OK, OUTCOME_COLORS, WARNING, steps
from dashboards.rows import shared
from dashboards.rows.failures import BY, LABELS, failed_for_good, failing_share, most_failing_functions
from rqmon.metrics import (
    RQ_JOB_FAILURES_TOTAL,
    RQ_JOB_RUN_SECONDS,
    RQ_JOBS_PROCESSED_TOTAL,
    RQ_JOBS_UNACCOUNTED,
    RQ_WORK_HORSES_KILLED_TOTAL,
)

_ENDED = rate(RQ_JOBS_PROCESSED_TOTAL, window=RECENT)
LEGEND = "{{function}} in {{queue}}"


def build() -> core.Dashboard:
    """Return all sections, from whether jobs fail to which functions to look at."""
    return dashboard(
        "RQ Jobs",
        "rq-jobs",
        "How often, how long and how well each function runs, as RecordingWorkers count it.",
        [*health(), *executions(), *run_times(), *failures(), *functions()],
    )


def _lasting(name: str, description: str, expr: str) -> core.Panel:
    """Count over the time range what should never happen."""
    return panels.stat(
        name,
        description,
        {name: or_zero(expr)},
        unit=theme.COUNT,
        thresholds=steps(OK, (1, CRITICAL)),
        decimals=0,
    )


def health() -> list[core.Panel]:
    """Do jobs run, and do they succeed?"""
    return [
        panels.row("Do jobs run, and end well?"),
        panels.stat(
            "Executions",
            "Executions that ended a second, over 5 minutes. Zero while jobs are queued: see RQ Queues for "
            "who serves them.",
            {"Executions": or_zero(_ENDED)},
            unit=theme.JOBS_PER_SECOND,
            thresholds=steps(INFO),
        ),
        failing_share(),
        panels.stat(
            "p95 run time",
            "What 95% of the executions of the time range took at most. Near the jobs' timeout: they will be "
            "killed; raise the timeout or split the work.",
            {"p95": known(quantile(0.95, RQ_JOB_RUN_SECONDS, window=RANGE))},
            unit="s",
            thresholds=steps(INFO),
        ),
        _lasting(
            "Horses killed",
            "Processes that died while they ran a job, in the time range. Any: look in the worker's and the "
            "kernel's log for a crash or for lack of memory.",
            events(RQ_WORK_HORSES_KILLED_TOTAL),
        ),
        _lasting(
            "Abandoned",
            "Executions in the time range whose process or worker died. RQ fails them or runs them again: "
            "make sure that they may run twice.",
            events(RQ_JOBS_PROCESSED_TOTAL, outcome="abandoned"),
        ),
        _lasting(
            "Unaccounted",
            "The most jobs of a sample in the time range that no queue, registry or worker has. Any: Redis "
            "lost data, or somebody changed keys by hand; queue those jobs again.",
            f"max(max_over_time({select(RQ_JOBS_UNACCOUNTED)}[{RANGE}]))",
        ),
    ]


def executions() -> list[core.Panel]:
    """What runs how often, and how it ends."""
    return [
        panels.row("Executions"),
        panels.timeseries(
            "Executions by function",
            "How often each function ended a second. One that stops is no longer queued, or waits: see RQ "
            "Queues. One that leaps is queued in a loop.",
            {LEGEND: rate(RQ_JOBS_PROCESSED_TOTAL, by=BY)},
            unit=theme.JOBS_PER_SECOND,
            width=12,
            link=links.FAILED,
        ),
        panels.timeseries(
            "Outcomes",
            "How executions ended. Red is failed for good: see Failures. Much yellow or blue: work is done "
            "in vain; retry later, or raise the rate limit.",
            {"{{outcome}}": rate(RQ_JOBS_PROCESSED_TOTAL, by="outcome")},
            unit=theme.JOBS_PER_SECOND,
            width=12,
            stacked=True,
            colors=OUTCOME_COLORS,
        ),
    ]


def run_times() -> list[core.Panel]:
    """How long executions take."""
    runs = {f"p{share}": quantile(share / 100, RQ_JOB_RUN_SECONDS) for share in (50, 95, 99)}
    return [
        panels.row("Run time"),
        panels.timeseries(
            "Run time",
            "How long half, 95% and 99% of all executions took at most. Rising together: what all of them "
            "use, such as a database, got slow.",
            runs,
            unit="s",
            width=12,
            colors={"p50": OK, "p95": WARNING, "p99": CRITICAL},
        ),
        panels.timeseries(
            "p95 run time by function",
            "What 95% of each function's executions took at most. One that rises alone: look at its data and "
            "what it waits for.",
            {LEGEND: quantile(0.95, RQ_JOB_RUN_SECONDS, by=BY)},
            unit="s",
            width=12,
            link=links.FAILED,
        ),
        panels.heatmap(
            "Run times",
            "How many executions took how long; a row is a bucket. Two bright bands: two kinds of work; "
            "choose a function above to tell them apart.",
            events_by_step(RQ_JOB_RUN_SECONDS, "_bucket", by="le"),
            unit="s",
        ),
    ]


def failures() -> list[core.Panel]:
    """What goes wrong."""
    failed = failed_for_good(by=f"redis, {BY}", window=RATE_INTERVAL)
    return [
        panels.row("Failures"),
        panels.timeseries(
            "Failing share by function",
            "The share of each function's executions that left their job failed for good. One at 100%: its "
            "code or what it calls is broken; fix it, then requeue.",
            {
                LEGEND: f"sum by ({BY}) ({failed})"
                f" / ({events(RQ_JOBS_PROCESSED_TOTAL, by=BY, window=RATE_INTERVAL)} > 0)"
            },
            unit="percentunit",
            width=12,
            maximum=1,
            link=links.FAILED,
        ),
        panels.bars(
            "Failures by exception",
            "Executions that ended with an exception, retried ones too, of every function in the chosen "
            "queues. A new one after a deploy: roll back or fix it.",
            {"{{exception}} in {{queue}}": events_by_step(RQ_JOB_FAILURES_TOTAL, by="exception, queue")},
            unit="short",
            width=12,
            link=links.FAILED,
        ),
        shared.retries_by_queue(),
        panels.bars(
            "Killed and abandoned",
            "When processes died under a job, and when executions were given up. Peaks at deploys: let "
            "workers end their job first. Others: look for lack of memory.",
            {
                "Horses killed": events_by_step(RQ_WORK_HORSES_KILLED_TOTAL),
                "Abandoned": events_by_step(RQ_JOBS_PROCESSED_TOTAL, outcome="abandoned"),
            },
            unit="short",
            width=12,
            colors={"Horses killed": CRITICAL, "Abandoned": OUTCOME_COLORS["abandoned"]},
        ),
    ]


def functions() -> list[core.Panel]:
    """Which functions to look at first."""
    count = events(RQ_JOBS_PROCESSED_TOTAL, by=BY)
    slowest = f"topk(10, {quantile(0.95, RQ_JOB_RUN_SECONDS, by=BY, window=RANGE)} >= 0)"
    mean = f"{increase(RQ_JOB_RUN_SECONDS, '_sum', by=BY)} / {increase(RQ_JOB_RUN_SECONDS, '_count', by=BY)}"
    return [
        panels.row("Functions to look at first"),
        panels.table(
            "Slowest functions",
            "The ten with the longest p95 in the time range. One that runs often is worth the most: what "
            "does it wait for? Click it for its queue's failed jobs.",
            {
                "p95": slowest,
                "Mean": f"{mean} and on ({BY}) {slowest}",
                "Executions": f"{count} and on ({BY}) {slowest}",
            },
            labels=LABELS,
            width=12,
            overrides=[theme.column_unit("p95", "s"), theme.column_unit("Mean", "s")],
            link=links.FAILED,
            sort="p95",
        ),
        most_failing_functions(),
    ]
