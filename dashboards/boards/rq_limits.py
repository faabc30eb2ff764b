"""The "RQ Limits & retries" dashboard: what rate limits refuse, and which jobs run again or later.

The panels about scheduled jobs, and "Retries by queue", are in rows/shared.py.
"""

from grafanalib import core

from dashboards.kit import links, panels, theme
from dashboards.kit.common import dashboard
from dashboards.kit.queries import (
    RATE_INTERVAL,
    RECENT,
    events_by_step,
    or_zero,
    rate,
    select,
)
from dashboards.kit.theme import INFO, OK, above, steps
from dashboards.rows import shared
from rqmon.metrics import (
    RQ_JOB_RETRIES_TOTAL,
    RQ_JOBS_PROCESSED_TOTAL,
    RQ_RATE_LIMIT_REQUESTS_TOTAL,
)
from rqmon.states import RATE_LIMIT_OUTCOMES
from rqmon.thresholds import REFUSED_SHARE, RETRIED_SHARE


def build() -> core.Dashboard:
    """Return all sections: now, the limits themselves, and the jobs that run again."""
    return dashboard(
        "RQ Limits & retries",
        "rq-limits",
        "What rate limits admit and refuse, and which jobs have to run again or later.",
        [*now(), *resources(), *executions()],
    )


def _refused_share(*, by: str = "", window: str = RATE_INTERVAL) -> str:
    refused = rate(RQ_RATE_LIMIT_REQUESTS_TOTAL, by=by, outcome="refused", window=window)
    return f"{refused} / ({rate(RQ_RATE_LIMIT_REQUESTS_TOTAL, by=by, window=window)} > 0)"


def _retried_share(*, by: str = "", window: str = RATE_INTERVAL) -> str:
    ended = rate(RQ_JOBS_PROCESSED_TOTAL, by=by, any_function=True, window=window)
    # A function's first executions are not in its rate, but their retries are in the queue's.
    return f"clamp_max({rate(RQ_JOB_RETRIES_TOTAL, by=by, window=window)} / ({ended} > 0), 1)"


def now() -> list[core.Panel]:
    """Do limits or failures cost work?"""
    requests = {
        outcome: rate(RQ_RATE_LIMIT_REQUESTS_TOTAL, window=RECENT, outcome=outcome)
        for outcome in RATE_LIMIT_OUTCOMES
    }
    limited = rate(RQ_JOBS_PROCESSED_TOTAL, window=RECENT, outcome="rate_limited")
    return [
        panels.row("Do limits or failures cost work?"),
        panels.stat(
            "Admitted requests",
            "Requests that the rate limits let through a second, over 5 minutes. Zero while such jobs run: a "
            "limit is exhausted, see Refused.",
            {"Admitted": or_zero(requests["admitted"])},
            unit=theme.REQUESTS_PER_SECOND,
            thresholds=steps(INFO),
        ),
        panels.stat(
            "Refused requests",
            "Requests that the rate limits refused a second, over 5 minutes. Each is an execution in vain: "
            "retry later (retry_backoff), or run fewer at once.",
            {"Refused": or_zero(requests["refused"])},
            unit=theme.REQUESTS_PER_SECOND,
            thresholds=steps(INFO),
        ),
        panels.stat(
            "Refused share",
            "Refused requests among all, over 5 minutes. Above a half, most of the work is in vain: spread "
            "the jobs, or have the limit raised.",
            {"Refused": or_zero(_refused_share(window=RECENT))},
            unit="percentunit",
            thresholds=steps(OK, *above(REFUSED_SHARE)),
            decimals=1,
        ),
        panels.stat(
            "Rate-limited executions",
            "Executions that ended with TooManyRequests a second, over 5 minutes. Without a retry their work "
            "is lost: see whether those jobs have one.",
            {"Rate-limited": or_zero(limited)},
            unit=theme.JOBS_PER_SECOND,
            thresholds=steps(INFO),
        ),
        panels.stat(
            "Retried share",
            "Executions after which the job runs again, among all, over 5 minutes. High: workers are busy "
            "with what fails; see RQ Jobs for the exceptions.",
            {"Retried": or_zero(_retried_share(window=RECENT))},
            unit="percentunit",
            thresholds=steps(OK, *above(RETRIED_SHARE)),
            decimals=1,
        ),
        shared.jobs_with("scheduled"),
    ]


def resources() -> list[core.Panel]:
    """What each limit admits; a request's queue and function are unknown."""
    by_outcome = {
        outcome: rate(RQ_RATE_LIMIT_REQUESTS_TOTAL, by="resource", outcome=outcome)
        for outcome in RATE_LIMIT_OUTCOMES
    }
    return [
        panels.row("Rate limits, of all queues and functions"),
        panels.timeseries(
            "Admitted by resource",
            "Requests that each resource's limits let through. Flat at a ceiling: the limit is used up; "
            "below it there is room for more workers.",
            {"{{resource}}": by_outcome["admitted"]},
            unit=theme.REQUESTS_PER_SECOND,
            width=8,
        ),
        panels.timeseries(
            "Refused by resource",
            "Requests that each resource's limits refused. Bursts are normal; all the time: queue those jobs "
            "farther apart.",
            {"{{resource}}": by_outcome["refused"]},
            unit=theme.REQUESTS_PER_SECOND,
            width=8,
        ),
        panels.timeseries(
            "Refused share by resource",
            "Refused requests among all of each resource; a gap where none were made. Near 100%: nothing "
            "gets through; is the limit right, does something else use it up?",
            {"{{resource}}": _refused_share(by="resource")},
            unit="percentunit",
            width=8,
            maximum=1,
        ),
    ]


def executions() -> list[core.Panel]:
    """Which executions were in vain, and what runs again or later."""
    limited = events_by_step(RQ_JOBS_PROCESSED_TOTAL, by="function, queue", outcome="rate_limited")
    return [
        panels.row("Executions that run again or later"),
        panels.bars(
            "Rate-limited executions by function",
            "Executions that met a limit, of each function that ever did; no data if none. Give the one on "
            "top a backoff or its own queue with fewer workers; those without a retry are in the failed "
            "jobs.",
            {
                "{{function}} in {{queue}}": (
                    f"{limited} and sum by (function, queue) "
                    f"({select(RQ_JOBS_PROCESSED_TOTAL, outcome='rate_limited')} > 0)"
                )
            },
            unit="short",
            width=12,
            link=links.FAILED,
        ),
        shared.scheduled_by_queue(width=12),
        shared.retries_by_queue(),
        panels.timeseries(
            "Retried share by queue",
            "Executions after which the job runs again, among all of each queue; a gap where none ended. "
            "Rising: retries crowd out new work; wait longer between them.",
            {"{{queue}}": _retried_share(by="queue")},
            unit="percentunit",
            width=12,
            maximum=1,
            link=links.SCHEDULED,
        ),
    ]
