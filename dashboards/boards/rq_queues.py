"""The "RQ Queues" dashboard: what waits in each queue, for how long, and which workers take it.

The first row is here. "Waiting", "Arrivals and departures" and "Late and lost jobs" are in
rows/queue_history.py, the objective in rows/wait_objective.py, "Slowest queue drains in" in
rows/queue_pace.py, and other panels shared with another dashboard in rows/shared.py.
"""

from grafanalib import core

from dashboards.kit import links, panels, theme
from dashboards.kit.common import dashboard
from dashboards.kit.queries import RANGE, or_zero, quantile, total
from dashboards.kit.theme import CRITICAL, NEUTRAL, OK, above, steps
from dashboards.rows import shared
from dashboards.rows.queue_history import (
    INTERMEDIATE,
    OVERDUE,
    QUEUED,
    WORKERS,
    flow,
    lost_and_late,
    waiting,
)
from dashboards.rows.queue_pace import DRAINS_IN, NO_WORKER, slowest_queue
from dashboards.rows.wait_objective import objective
from rqmon.metrics import (
    RQ_JOB_WAIT_SECONDS,
    RQ_QUEUE_INTERMEDIATE_JOBS,
)
from rqmon.thresholds import INTERMEDIATE_JOBS, QUEUED_JOBS, SCHEDULED_DELAY


def build() -> core.Dashboard:
    """Return all sections, from what needs attention now to how well the queues did."""
    return dashboard(
        "RQ Queues",
        "rq-queues",
        "What waits in each queue of RQ, for how long, and who takes it.",
        [*now(), *waiting(), *flow(), *objective(), *lost_and_late()],
    )


def now() -> list[core.Panel]:
    """Does any queue need attention?"""
    return [
        panels.row("Does a queue need somebody?"),
        shared.jobs_with("queued"),
        shared.oldest_waiting_job(),
        shared.queues_without_workers(),
        slowest_queue(),
        shared.worst_delay(),
        panels.stat(
            "Intermediate jobs",
            "Jobs between their queue and their start. A moment each; some that stay were lost by a worker "
            "that died, and count as abandoned once another worker of that queue cleans up: start one.",
            {"Intermediate": or_zero(total(RQ_QUEUE_INTERMEDIATE_JOBS))},
            unit=theme.COUNT,
            thresholds=steps(OK, *above(INTERMEDIATE_JOBS)),
        ),
        panels.table(
            "All queues",
            "Every chosen queue now; its p95 wait is that of the time range. Workers in red: the queue has "
            "jobs and none. Click a queue for its jobs in rq-dashboard.",
            {
                "Queued": QUEUED,
                "Oldest": shared.OLDEST,
                "Workers": f"-1 * group by (queue) ({NO_WORKER}) or {WORKERS}",
                "p95 wait": quantile(0.95, RQ_JOB_WAIT_SECONDS, by="queue", window=RANGE),
                "Drains in": f"max by (queue) ({DRAINS_IN})",
                "Overdue": OVERDUE,
                "Worst delay": shared.DELAY,
                "Intermediate": INTERMEDIATE,
            },
            labels={"queue": "Queue"},
            width=24,
            overrides=[
                theme.column_thresholds("Queued", steps(NEUTRAL, *above(QUEUED_JOBS))),
                theme.column_mappings("Workers", theme.text_for_values({-1: ("None", CRITICAL)})),
                theme.column_mappings("Drains in", theme.OVER_A_DAY),
                theme.column_thresholds("Worst delay", steps(NEUTRAL, *above(SCHEDULED_DELAY))),
                *(
                    theme.column_unit(name, "s")
                    for name in ("Oldest", "p95 wait", "Drains in", "Worst delay")
                ),
            ],
            link=links.QUEUED,
            sort="Oldest",
            no_value="No jobs yet, or nobody knows: make demo queues some",
        ),
    ]
