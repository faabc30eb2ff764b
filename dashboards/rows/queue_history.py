"""The RQ Queues sections with each queue's history: waiting, arrivals, departures, late and lost jobs."""

from grafanalib import core

from dashboards.kit import links, panels, theme
from dashboards.kit.queries import (
    RATE_INTERVAL,
    jobs,
    low_total,
    peak,
    peak_total,
    quantile,
    rate,
    select,
    total,
)
from dashboards.kit.theme import CRITICAL, NEUTRAL, OK, WARNING
from dashboards.rows import shared
from dashboards.rows.queue_pace import HELD, LISTEN
from rqmon.metrics import (
    RQ_JOB_WAIT_SECONDS,
    RQ_JOBS,
    RQ_JOBS_PROCESSED_TOTAL,
    RQ_QUEUE_INTERMEDIATE_JOBS,
    RQ_QUEUE_LONGEST_RUNNING_JOB_SECONDS,
    RQ_QUEUE_OLDEST_DEFERRED_JOB_AGE_SECONDS,
    RQ_QUEUE_OLDEST_JOB_AGE_SECONDS,
    RQ_QUEUE_SCHEDULED_OVERDUE_JOBS,
    RQ_QUEUE_WORKERS,
)

QUEUED = jobs("queue", status="queued")
WORKERS = total(RQ_QUEUE_WORKERS, by="queue")
OVERDUE = total(RQ_QUEUE_SCHEDULED_OVERDUE_JOBS, by="queue")
INTERMEDIATE = total(RQ_QUEUE_INTERMEDIATE_JOBS, by="queue")


def _by_queue(
    title: str,
    description: str,
    expr: str,
    unit: str,
    width: int = 8,
    link: links.Link = links.QUEUED,
) -> core.Panel:
    return panels.timeseries(title, description, {"{{queue}}": expr}, unit=unit, width=width, link=link)


def waiting() -> list[core.Panel]:
    """How much waits, and how long."""
    # By server first, then the worst of them.
    served = f"max by (queue) (({LISTEN} > bool 0) + 2 * ({LISTEN} == bool 0) * ({HELD} > bool 0))"
    waits = {f"p{share}": quantile(share / 100, RQ_JOB_WAIT_SECONDS) for share in (50, 95, 99)}
    return [
        panels.row("Waiting"),
        shared.backlog_by_queue(width=8),
        _by_queue(
            "Oldest job by queue",
            "How long the first job of each queue has waited. A saw is normal under load; a straight climb "
            "means that nobody takes from the queue.",
            peak(RQ_QUEUE_OLDEST_JOB_AGE_SECONDS, by="queue"),
            "s",
        ),
        _by_queue(
            "Workers by queue",
            "Workers that listen to each queue. Fewer than you started: read their logs, or those of "
            "whatever should start them again.",
            low_total(RQ_QUEUE_WORKERS, by="queue"),
            "short",
        ),
        panels.timeseries(
            "Wait",
            "How long half, 95% and 99% of the executions that ended had waited, in all chosen queues. p99 "
            "far above p50: bursts, or one slow queue; see the next panel.",
            waits,
            unit="s",
            width=12,
            colors={"p50": OK, "p95": WARNING, "p99": CRITICAL},
        ),
        _by_queue(
            "p95 wait by queue",
            "What 95% of the executions of each queue waited at most. The line on top is the queue that "
            "needs workers first; one that has none has no line.",
            quantile(0.95, RQ_JOB_WAIT_SECONDS, by="queue"),
            "s",
            12,
        ),
        panels.state_timeline(
            "Queues served",
            "Whether somebody listened to each queue. Red: it had jobs and no worker; start one, or rename "
            "what is queued there.",
            {"{{queue}}": served},
            mappings=theme.text_for_values(
                {
                    0: ("No worker, no jobs", NEUTRAL),
                    1: ("Has workers", OK),
                    2: ("Jobs and no worker", CRITICAL),
                }
            ),
            height=6,
        ),
    ]


def flow() -> list[core.Panel]:
    """What comes in and what gets done."""
    ended = select(RQ_JOBS_PROCESSED_TOTAL, any_function=True)
    depth = peak_total(RQ_JOBS, by="queue", status="queued")
    queued, started = (select(RQ_JOBS, status=status) for status in ("queued", "started"))
    changes = " or ".join(
        [
            f"rate({ended}[{RATE_INTERVAL}])",
            *(f"deriv({held}[{RATE_INTERVAL}])" for held in (queued, started)),
        ]
    )
    return [
        panels.row("Arrivals and departures"),
        _by_queue(
            "Arrivals by queue",
            "Jobs that entered each queue a second, retries and due ones too: what ended plus how queued and "
            "running jobs changed, so about. Above the departures for long: add workers.",
            f"clamp_min(sum by (queue) ({changes}), 0)",
            theme.JOBS_PER_SECOND,
            12,
        ),
        _by_queue(
            "Departures by queue",
            "Recorded executions of each queue that ended a second, of every function. Level while the queue "
            "grows: its workers do what they can; add some. Zero while it grows: they hang, or don't record.",
            f"{rate(RQ_JOBS_PROCESSED_TOTAL, by='queue', any_function=True)} or 0 * {depth}",
            theme.JOBS_PER_SECOND,
            12,
        ),
    ]


def lost_and_late() -> list[core.Panel]:
    """Jobs that are neither in their queue nor with a worker."""
    return [
        panels.row("Late and lost jobs"),
        shared.overdue_by_queue(),
        shared.worst_delay_by_queue(),
        _by_queue(
            "Intermediate jobs by queue",
            "Jobs taken from the queue and not started. A level above zero: a worker died there; start one "
            "for the queue, then requeue what its clean-up fails.",
            peak_total(RQ_QUEUE_INTERMEDIATE_JOBS, by="queue"),
            "short",
        ),
        _by_queue(
            "Longest running job by queue",
            "How long the longest-running job of each queue has run. A climb past what such jobs need: it "
            "hangs; rqmon doctor names it once it has outrun its timeout.",
            peak(RQ_QUEUE_LONGEST_RUNNING_JOB_SECONDS, by="queue"),
            "s",
            12,
            links.STARTED,
        ),
        _by_queue(
            "Oldest deferred job by queue",
            "How long the oldest job of each queue has waited for other jobs. A climb that never falls: one "
            "of those failed, or none is left; rqmon doctor names it.",
            peak(RQ_QUEUE_OLDEST_DEFERRED_JOB_AGE_SECONDS, by="queue"),
            "s",
            12,
            links.DEFERRED,
        ),
    ]
