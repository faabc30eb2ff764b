"""The RQ Queues section on monitoring/objectives.toml: how well each queue kept to what it promises."""

from grafanalib import core

from dashboards.kit import panels, theme
from dashboards.kit.queries import RANGE, events, known, recorded, worst_or
from dashboards.kit.theme import CRITICAL, INFO, NEUTRAL, OK, above, steps
from rqmon import objectives
from rqmon.metrics import RQ_JOB_WAIT_SECONDS
from rqmon.thresholds import BURN_RATE

_BURNING = steps(OK, *above(BURN_RATE))
_ENDED = recorded("queue:rq_job_wait_seconds_count:rate5m")
_LATE = recorded("queue:rq_job_wait_late:rate5m")
# Queues whose bound is counted by no bucket: what is known of the others is not the whole.
_UNMEASURED = f"({_ENDED} > 0 unless {_LATE})"
_BURNS = {
    f"{name} burn, {words}": f"max by (queue) ({recorded(f'queue:rq_job_{what}_objective:burnrate{window}')})"
    for what, name in (("wait", "Wait"), ("error", "Failure"))
    for window, words in (("1h", "1 hour"), ("6h", "6 hours"))
}


def _in_time(by: str = "") -> str:
    """Return the share that had waited no longer than their queue promises; empty without executions."""
    grouped = f"sum {by}" if by else "sum "
    late, ended = (f"{grouped}(sum_over_time({series}[{RANGE}]))" for series in (_LATE, _ENDED))
    return f"1 - {late} / ({ended} > 0)"


def _burn_rate(window: str) -> str:
    burns = recorded(f"queue:rq_job_wait_objective:burnrate{window}")
    return f"{worst_or('Every queue', burns, 'queue')} unless on () ({_UNMEASURED})"


def objective() -> list[core.Panel]:
    """How well the queues met their objectives, and how fast their error budgets are used up."""
    return [
        panels.row("Objectives: how long jobs may wait and how many may fail, by queue"),
        panels.stat(
            "Waited in time",
            "The share that waited no longer than their queue promises, over the time range, counted as "
            "executions end. Unknown: nothing ended, or RQ_JOB_BUCKETS lacks a queue's bound.",
            {"In time": known(f"{_in_time()} unless on () ({_UNMEASURED})")},
            unit="percentunit",
            thresholds=steps(CRITICAL, (objectives.read().default.wait_share, OK)),
            decimals=2,
        ),
        panels.stat(
            "Executions",
            "Executions in the time range whose wait is known. Few: one late job weighs much in the shares "
            "beside this; look at a longer range.",
            {"Executions": known(events(RQ_JOB_WAIT_SECONDS, "_count"))},
            unit=theme.COUNT,
            thresholds=steps(INFO),
            decimals=0,
        ),
        panels.stat(
            "Burn rate, 1 hour",
            f"Late executions by those allowed, of the worst queue. At {BURN_RATE.critical:g} a month's are "
            "used up in two days: act now if the 5 minutes' is as high, else it has passed.",
            {"{{queue}}": _burn_rate("1h")},
            unit=theme.TIMES,
            thresholds=_BURNING,
            decimals=1,
        ),
        panels.stat(
            "Burn rate, 5 minutes",
            "Late executions by those allowed, of the worst queue: whether it still burns. High here alone: "
            "a burst; wait whether the hour follows.",
            {"{{queue}}": _burn_rate("5m")},
            unit=theme.TIMES,
            thresholds=_BURNING,
            decimals=1,
        ),
        panels.table(
            "Objectives by queue",
            "What each queue promises and how it keeps to it. A burn is what happened by what is allowed: "
            f"above {BURN_RATE.warning:g} the promise is broken in the end. Empty: nothing ended.",
            {
                "May wait": f"max by (queue) ({recorded('queue:rq_job_wait_objective:seconds')})",
                "In time": _in_time("by (queue) "),
                **_BURNS,
            },
            labels={"queue": "Queue"},
            width=24,
            overrides=[
                theme.column_unit("May wait", "s"),
                theme.column_unit("In time", "percentunit"),
                *(theme.column_unit(name, theme.TIMES) for name in _BURNS),
                *(theme.column_thresholds(name, steps(NEUTRAL, *above(BURN_RATE))) for name in _BURNS),
            ],
            sort="Wait burn, 1 hour",
            no_value="No queue yet: make demo makes some",
        ),
    ]
