"""The RQ Queues section on an objective: a share of executions waits no longer than a bound."""

from grafanalib import core

from dashboards.kit import panels, theme
from dashboards.kit.queries import RANGE, RECENT, events, known, rate
from dashboards.kit.theme import CRITICAL, INFO, OK, WARNING, above, steps
from rqmon import objectives
from rqmon.metrics import RQ_JOB_WAIT_SECONDS
from rqmon.objectives import Objective
from rqmon.thresholds import BURN_RATE

_BURNING = steps(OK, *above(BURN_RATE))


def _in_time(window: str, promised: Objective) -> str:
    """Return the share of executions that waited no longer; empty without executions or the bucket."""
    in_time = rate(RQ_JOB_WAIT_SECONDS, "_bucket", window=window, le=_le(promised))
    return f"{in_time} / ({rate(RQ_JOB_WAIT_SECONDS, '_count', window=window)} > 0)"


def _burn_rate(window: str, promised: Objective) -> str:
    """Return the ratio of late to allowed executions; 0 if nothing ran though the bucket exists."""
    exists = rate(RQ_JOB_WAIT_SECONDS, "_bucket", window=window, le=_le(promised))
    return f"(1 - {_in_time(window, promised)}) / {promised.late_share:g} or 0 * {exists}"


def _le(promised: Objective) -> str:
    """Return the bound as the exporter and Prometheus write it, `30.0`."""
    return str(promised.wait_seconds)


def objective() -> list[core.Panel]:
    """How well the queues met the default objective, and how fast the error budget is used up."""
    promised = objectives.read().default
    bound, share = f"{promised.wait_seconds:g} s", f"{promised.wait_share:.0%}"
    executions = events(RQ_JOB_WAIT_SECONDS, "_count")
    late = f"{executions} - {events(RQ_JOB_WAIT_SECONDS, '_bucket', le=_le(promised))}"
    return [
        panels.row(f"Objective: {share} of executions wait at most {bound}"),
        panels.stat(
            f"Waited at most {bound}",
            f"The share over the time range, counted as executions end. Below {share}: see p95 wait by "
            f"queue. Unknown: nothing ended, or RQ_JOB_BUCKETS has no bucket of {promised.wait_seconds:g}.",
            {"In time": known(_in_time(RANGE, promised))},
            unit="percentunit",
            thresholds=steps(CRITICAL, (promised.wait_share, OK)),
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
            f"Executions in the time range that had waited more than {bound}. Jobs that still wait are not "
            "among them: see Oldest waiting job.",
            {"Waited longer": known(late)},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, WARNING)),
            decimals=0,
        ),
        panels.stat(
            "Burn rate, time range",
            f"Late executions by those allowed ({promised.late_share:.0%}) over the time range. Above "
            f"{BURN_RATE.warning:g} the objective is missed: add workers, or agree on another.",
            {"Burn rate": known(_burn_rate(RANGE, promised))},
            unit=theme.TIMES,
            thresholds=_BURNING,
            decimals=1,
        ),
        panels.stat(
            "Burn rate, 1 hour",
            f"Late executions by those allowed over an hour. At {BURN_RATE.critical:g} a month's budget is "
            "gone in two days: act now if the 5 minutes' is as high, else it has passed.",
            {"Burn rate": known(_burn_rate("1h", promised))},
            unit=theme.TIMES,
            thresholds=_BURNING,
            decimals=1,
        ),
        panels.stat(
            "Burn rate, 5 minutes",
            "Late executions by those allowed over 5 minutes: whether it still burns. High here alone: a "
            "burst; wait whether the hour follows.",
            {"Burn rate": known(_burn_rate(RECENT, promised))},
            unit=theme.TIMES,
            thresholds=_BURNING,
            decimals=1,
        ),
    ]
