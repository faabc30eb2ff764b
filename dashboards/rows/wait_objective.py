"""The RQ Queues section about an objective: a share of executions that waits no longer than a bound."""

from grafanalib import core

from dashboards.kit import panels, theme
from dashboards.kit.queries import RANGE, RECENT, events, known, rate
from dashboards.kit.theme import CRITICAL, INFO, OK, WARNING, above, steps
from rqmon.metrics import RQ_JOB_WAIT_SECONDS
from rqmon.thresholds import BURN_RATE, WAIT_OBJECTIVE

_BOUND = f"{WAIT_OBJECTIVE.seconds:g} s"
_SHARE = f"{WAIT_OBJECTIVE.share:.0%}"
_LATE_SHARE = f"{WAIT_OBJECTIVE.late_share:g}"
_LE = str(WAIT_OBJECTIVE.seconds)  # "30.0", as the exporter and Prometheus write it
_BURNING = steps(OK, *above(BURN_RATE))


def _in_time(window: str) -> str:
    """The share of executions that waited no longer; none without executions or without the bucket."""
    in_time = rate(RQ_JOB_WAIT_SECONDS, "_bucket", window=window, le=_LE)
    return f"{in_time} / ({rate(RQ_JOB_WAIT_SECONDS, '_count', window=window)} > 0)"


def _burn_rate(window: str) -> str:
    """The share of late executions by the share allowed; 0 when nothing ran though the bucket exists."""
    exists = rate(RQ_JOB_WAIT_SECONDS, "_bucket", window=window, le=_LE)
    return f"(1 - {_in_time(window)}) / {_LATE_SHARE} or 0 * {exists}"


def objective() -> list[core.Panel]:
    """How well the queues kept to it, and how fast what is left is used up."""
    executions = events(RQ_JOB_WAIT_SECONDS, "_count")
    late = f"{executions} - {events(RQ_JOB_WAIT_SECONDS, '_bucket', le=_LE)}"
    return [
        panels.row(f"Objective: {_SHARE} of executions wait at most {_BOUND}"),
        panels.stat(
            f"Waited at most {_BOUND}",
            f"The share over the time range, counted as executions end. Below {_SHARE}: see p95 wait by "
            f"queue. Unknown: nothing ended, or RQ_JOB_BUCKETS has no bucket of {WAIT_OBJECTIVE.seconds:g}.",
            {"In time": known(_in_time(RANGE))},
            unit="percentunit",
            thresholds=steps(CRITICAL, (WAIT_OBJECTIVE.share, OK)),
            decimals=2,
        ),
        panels.stat(
            "Executions",
            "Executions in the time range whose wait is known. Few: one late job weighs much in the shares "
            "beside this; look at a longer range.",
            {"Executions": known(executions)},
            unit=theme.COUNT,
            thresholds=steps(INFO),
            decimals=0,
        ),
        panels.stat(
            "Waited longer",
            f"Executions in the time range that had waited more than {_BOUND}. Jobs that still wait are not "
            "among them: see Oldest waiting job.",
            {"Waited longer": known(late)},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, WARNING)),
            decimals=0,
        ),
        panels.stat(
            "Burn rate, time range",
            f"Late executions by those allowed ({WAIT_OBJECTIVE.late_share:.0%}) over the time range. Above "
            f"{BURN_RATE.warning:g} the objective is missed: add workers, or agree on another.",
            {"Burn rate": known(_burn_rate(RANGE))},
            unit=theme.TIMES,
            thresholds=_BURNING,
            decimals=1,
        ),
        panels.stat(
            "Burn rate, 1 hour",
            f"Late executions by those allowed over an hour. At {BURN_RATE.critical:g} a month's budget is "
            "gone in two days: act now if the 5 minutes' is as high, else it has passed.",
            {"Burn rate": known(_burn_rate("1h"))},
            unit=theme.TIMES,
            thresholds=_BURNING,
            decimals=1,
        ),
        panels.stat(
            "Burn rate, 5 minutes",
            "Late executions by those allowed over 5 minutes: whether it still burns. High here alone: a "
            "burst; wait whether the hour follows.",
            {"Burn rate": known(_burn_rate(RECENT))},
            unit=theme.TIMES,
            thresholds=_BURNING,
            decimals=1,
        ),
    ]
