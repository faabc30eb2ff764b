"""The "RQ Queues" dashboard: what waits in each queue, for how long, and who takes it."""

from grafanalib import core

from dashboards.kit import links, panels, theme
from dashboards.kit.common import dashboard
from dashboards.kit.queries import RANGE, jobs, or_zero, quantile, total, worst
from dashboards.kit.theme import CRITICAL, INFO, NEUTRAL, OK, WARNING, steps
from dashboards.rows.queue_pace import DRAINS_IN, NO_WORKER, slowest_queue
from dashboards.rows.queue_panels import (
    DELAY,
    INTERMEDIATE,
    OLDEST,
    OVERDUE,
    QUEUED,
    WORKERS,
    flow,
    lost_and_late,
    waiting,
)
from dashboards.rows.wait_objective import objective
from rqmon.metrics import (
    RQ_JOB_WAIT_SECONDS,
    RQ_QUEUE_INTERMEDIATE_JOBS,
)

LATE = ((5, WARNING), (60, CRITICAL))


def queues() -> core.Dashboard:
    """All sections, from what needs somebody now to how well the queues did."""
    return dashboard(
        "RQ Queues",
        "rq-queues",
        "What waits in each queue of RQ, for how long, and who takes it.",
        [*now(), *waiting(), *flow(), *objective(), *lost_and_late()],
    )


def now() -> list[core.Panel]:
    """Does any queue need somebody?"""
    return [
        panels.row("Does a queue need somebody?"),
        panels.stat(
            "Queued jobs",
            "Jobs waiting for a worker in the chosen queues. Many, and not falling: see which queue below, "
            "and add workers there.",
            {"Queued": or_zero(jobs(status="queued"))},
            unit=theme.COUNT,
            thresholds=steps(INFO, (100, WARNING), (1000, CRITICAL)),
        ),
        panels.stat(
            "Oldest waiting job",
            "How long the first job of any chosen queue has waited. Rising second by second: nobody takes "
            "from that queue; see its workers.",
            {"{{queue}}": worst(OLDEST)},
            unit="s",
            thresholds=steps(OK, (30, WARNING), (300, CRITICAL)),
            named=True,
        ),
        panels.stat(
            "Queues nobody serves",
            "Queues that have jobs and no worker that listens. Any: start a worker for the queue, or find "
            "out who queues jobs under a wrong name.",
            {"Nobody serves": or_zero(f"count({NO_WORKER})")},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, CRITICAL)),
        ),
        slowest_queue("Slowest queue drains in"),
        panels.stat(
            "Worst scheduled delay",
            "How far behind its time the most overdue scheduled job is. A second is the scheduler's rhythm; "
            "more: start a worker with --with-scheduler on that queue.",
            {"{{queue}}": worst(DELAY)},
            unit="s",
            thresholds=steps(OK, *LATE),
            named=True,
        ),
        panels.stat(
            "Intermediate jobs",
            "Jobs between their queue and their start. A moment each; some that stay were lost by a worker "
            "that died, and count as abandoned once another worker of that queue cleans up: start one.",
            {"Intermediate": or_zero(total(RQ_QUEUE_INTERMEDIATE_JOBS))},
            unit=theme.COUNT,
            thresholds=steps(OK, (10, WARNING), (100, CRITICAL)),
        ),
        panels.table(
            "All queues",
            "Every chosen queue now; its p95 wait is that of the time range. Workers in red: the queue has "
            "jobs and none. Click a queue for its jobs in rq-dashboard.",
            {
                "Queued": QUEUED,
                "Oldest": OLDEST,
                "Workers": f"-1 * group by (queue) ({NO_WORKER}) or {WORKERS}",
                "p95 wait": quantile(0.95, RQ_JOB_WAIT_SECONDS, by="queue", window=RANGE),
                "Drains in": f"max by (queue) ({DRAINS_IN})",
                "Overdue": OVERDUE,
                "Worst delay": DELAY,
                "Intermediate": INTERMEDIATE,
            },
            labels={"queue": "Queue"},
            width=24,
            overrides=[
                theme.column_thresholds("Queued", steps(NEUTRAL, (100, WARNING), (1000, CRITICAL))),
                theme.column_mappings("Workers", theme.text_for_values({-1: ("None", CRITICAL)})),
                theme.column_mappings("Drains in", theme.OVER_A_DAY),
                theme.column_thresholds("Worst delay", steps(NEUTRAL, *LATE)),
                *(
                    theme.column_unit(name, "s")
                    for name in ("Oldest", "p95 wait", "Drains in", "Worst delay")
                ),
            ],
            link=links.QUEUED,
        ),
    ]
