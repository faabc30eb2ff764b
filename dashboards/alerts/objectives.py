"""The rules that make monitoring/objectives.toml series of each queue, and the alerts about them."""

import json
from collections.abc import Callable

from dashboards.alerts.model import QUEUE, Alert, Recording, rise
from rqmon.objectives import Objective, Objectives
from rqmon.thresholds import FAST_BURN, LEAST_EXECUTIONS, SLOW_BURN

# A month's budget: gone in two days, seen over an hour; gone in five, seen over six hours.
# The short window of each says whether it still burns.
_FAST, _SLOW = ("1h", "5m"), ("6h", "30m")


def recordings(objectives: Objectives) -> list[Recording]:
    """The objective of each queue that there is, and how fast its budgets burn."""
    return [
        Recording(
            record="queue:rq_job_wait_objective:seconds",
            expr=_of_each_queue(objectives, lambda objective: objective.wait_seconds),
            labels=QUEUE,
        ),
        Recording(
            record="queue:rq_job_wait_objective:budget",
            expr=_of_each_queue(objectives, lambda objective: objective.late_share),
            labels=QUEUE,
        ),
        Recording(
            record="queue:rq_job_error_objective:budget",
            expr=_of_each_queue(objectives, lambda objective: objective.error_share),
            labels=QUEUE,
        ),
        Recording(
            record="queue:rq_job_wait_seconds_count:rate5m",
            expr=f"sum by ({QUEUE}) (rate(rq_job_wait_seconds_count[5m]))",
            labels=QUEUE,
        ),
        Recording(
            record="queue:rq_job_wait_late:rate5m",
            expr="clamp_min(queue:rq_job_wait_seconds_count:rate5m - "
            f"({_in_time(objectives, 'rate(%s[5m])')}), 0)",
            labels=QUEUE,
        ),
        Recording(
            record="queue:rq_job_wait_seconds_count:sum",
            expr=f"sum by ({QUEUE}) (rq_job_wait_seconds_count)",
            labels=QUEUE,
        ),
        Recording(
            record="queue:rq_job_wait_late:sum",
            expr=f"queue:rq_job_wait_seconds_count:sum - ({_in_time(objectives, '%s')})",
            labels=QUEUE,
        ),
        *(_burn("wait", window) for window in (*_FAST, *_SLOW)),
        *(_burn("error", window) for window in (*_FAST, *_SLOW)),
    ]


def _of_each_queue(objectives: Objectives, value: Callable[[Objective], float]) -> str:
    """A series of each queue that the exporter knows, the default's where the file does not name it."""
    named = [
        f"{value(objective):g} * group by ({QUEUE}) (rq_jobs{{queue={_quoted(queue)}}})"
        for queue, objective in objectives.queues.items()
    ]
    return "\nor ".join([*named, f"{value(objectives.default):g} * group by ({QUEUE}) (rq_jobs)"])


def _in_time(objectives: Objectives, counted: str) -> str:
    """How many executions had waited no longer; nothing where that is no bound of the histogram."""

    def selected(matchers: str, seconds: float) -> str:
        # As the exporter and Prometheus write a bound.
        le = json.dumps(repr(float(seconds)))
        return f"sum by ({QUEUE}) ({counted % f'rq_job_wait_seconds_bucket{{{matchers}le={le}}}'})"

    # By name, not by `or` alone: where a queue's own bound is not counted, the default's would be taken.
    others = "".join(f"queue!={_quoted(queue)}, " for queue in objectives.queues)
    return "\nor ".join(
        [
            *(selected(f"queue={_quoted(q)}, ", own.wait_seconds) for q, own in objectives.queues.items()),
            selected(others, objectives.default.wait_seconds),
        ]
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _burn(what: str, window: str) -> Recording:
    bad, all_ = {
        "wait": ("queue:rq_job_wait_late:rate5m", "queue:rq_job_wait_seconds_count:rate5m"),
        "error": ("queue:rq_jobs_failed:rate5m", "queue:rq_jobs_processed:rate5m"),
    }[what]
    return Recording(
        record=f"queue:rq_job_{what}_objective:burnrate{window}",
        expr=f"avg_over_time({bad}[{window}]) / (avg_over_time({all_}[{window}]) > 0) "
        f"/ queue:rq_job_{what}_objective:budget",
        labels=QUEUE,
    )


def _burns(what: str, windows: tuple[str, str], factor: float) -> str:
    """Both windows burn, and there were enough executions for a share to say something."""
    long, short = windows
    bad, all_ = {
        "wait": ("queue:rq_job_wait_late:sum", "queue:rq_job_wait_seconds_count:sum"),
        "error": ("queue:rq_jobs_failing:sum", "queue:rq_jobs_processed:sum"),
    }[what]
    return (
        f"queue:rq_job_{what}_objective:burnrate{long} > {factor:g} "
        f"and queue:rq_job_{what}_objective:burnrate{short} > {factor:g} "
        f"and {rise(bad, long)} > {factor:g} * queue:rq_job_{what}_objective:budget * {rise(all_, long)} "
        f"and {rise('queue:rq_jobs_processed:sum', long)} >= {LEAST_EXECUTIONS}"
    )


_RATE = '{{ $value | printf "%.1f" }} times'

ALERTS = (
    Alert(
        name="RQWaitSLOBurnFast",
        fault="Most jobs of a queue wait longer than its objective, for minutes.",
        expr=_burns("wait", _FAST, FAST_BURN),
        for_seconds=120,
        severity="critical",
        summary="Jobs of {{ $labels.queue }} wait far too long",
        description="In an hour {{ $labels.queue }} had "
        + _RATE
        + " the late executions that its objective allows. At "
        f"{FAST_BURN:g} times a month's are used up in two days.",
        dashboard="rq-queues",
        panel="Burn rate, 1 hour",
        chosen=("queue",),
    ),
    Alert(
        name="RQWaitSLOBurnSlow",
        fault="Some jobs of a queue wait longer than its objective, for hours.",
        expr=_burns("wait", _SLOW, SLOW_BURN),
        for_seconds=900,
        severity="warning",
        summary="Jobs of {{ $labels.queue }} wait too long",
        description="In 6 hours {{ $labels.queue }} had "
        + _RATE
        + " the late executions that its objective allows. At "
        f"{SLOW_BURN:g} times a month's are used up in five days.",
        dashboard="rq-queues",
        panel="p95 wait by queue",
        chosen=("queue",),
    ),
    Alert(
        name="RQErrorSLOBurnFast",
        fault="Many jobs of a queue fail for good, for minutes.",
        expr=_burns("error", _FAST, FAST_BURN),
        for_seconds=120,
        severity="critical",
        summary="Far too many jobs of {{ $labels.queue }} fail",
        description="In an hour {{ $labels.queue }} had "
        + _RATE
        + " the failures that its objective allows. At "
        f"{FAST_BURN:g} times a month's are used up in two days.",
        dashboard="rq-jobs",
        panel="Failing share by function",
        chosen=("queue",),
    ),
    Alert(
        name="RQErrorSLOBurnSlow",
        fault="Some jobs of a queue fail for good, for hours.",
        expr=_burns("error", _SLOW, SLOW_BURN),
        for_seconds=900,
        severity="warning",
        summary="Too many jobs of {{ $labels.queue }} fail",
        description="In 6 hours {{ $labels.queue }} had "
        + _RATE
        + " the failures that its objective allows. At "
        f"{SLOW_BURN:g} times a month's are used up in five days.",
        dashboard="rq-jobs",
        panel="Failing share by function",
        chosen=("queue",),
    ),
    Alert(
        name="RQWaitObjectiveUnmeasured",
        fault="RQ_JOB_BUCKETS has no bound that is the objective's.",
        expr="queue:rq_job_wait_seconds_count:rate5m > 0 unless queue:rq_job_wait_late:rate5m",
        for_seconds=600,
        severity="warning",
        summary="Whether {{ $labels.queue }} keeps to its objective is unknown",
        description="Jobs of {{ $labels.queue }} run, and how many waited longer than its objective is not "
        "counted: its "
        "wait_seconds is no bound of RQ_JOB_BUCKETS.",
        dashboard="rq-queues",
        panel="Objectives by queue",
        chosen=("queue",),
    ),
)
