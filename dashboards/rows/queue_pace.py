"""How fast each queue gets empty, and the tile about the slowest: on RQ Queues and on the RQ Dashboard."""

from grafanalib import core

from dashboards.kit import panels, theme
from dashboards.kit.queries import RECENT, known, rate, total
from dashboards.kit.theme import OK, above, steps
from rqmon.metrics import (
    RQ_JOBS,
    RQ_JOBS_PROCESSED_TOTAL,
    RQ_QUEUE_WORKERS,
    RQ_WORKERS_FAILED_TOTAL,
    RQ_WORKERS_SUCCESS_TOTAL,
)
from rqmon.thresholds import DRAIN_TIME

_BY = "redis, queue"  # a queue has the workers of its own server
HELD, LISTEN = total(RQ_JOBS, by=_BY, status="queued"), total(RQ_QUEUE_WORKERS, by=_BY)
NO_WORKER = f"({HELD} > 0) unless {LISTEN} > 0"
# Of every function, as depth is known by queue alone.
_RECORDED = rate(RQ_JOBS_PROCESSED_TOTAL, by=_BY, window=RECENT, any_function=True)
# What workers that listen to one queue alone count themselves: of plain `rq worker`s there is nothing else.
_COUNTED = " + ".join(
    rate(metric, by="redis, queues", window=RECENT)
    for metric in (RQ_WORKERS_SUCCESS_TOTAL, RQ_WORKERS_FAILED_TOTAL)
)
_OF_ONE_QUEUE = f'sum by ({_BY}) (label_join({_COUNTED}, "queue", "", "queues"))'
_PACE = f"(0 * ({NO_WORKER}) or {_RECORDED} or {_OF_ONE_QUEUE})"
_BUSY = f"clamp_max(({HELD} > 0) / {_PACE}, {theme.DAY_SECONDS})"
DRAINS_IN = f"{_BUSY} or 0 * ({HELD} == 0)"


def slowest_queue() -> core.Stat:
    """How long the slowest queue will need to get empty; unknown while it is unknown for any queue."""
    idle = 'label_replace(vector(0), "queue", "Every queue", "", "")'
    unknown = f"({HELD} > 0) unless {_BUSY}"
    return panels.stat(
        "Slowest queue drains in",
        "Queued jobs by the pace of the last 5 minutes, of the queue that needs longest. Rising: add "
        "workers to it. A standstill, or no worker, shows as 'Over a day'. Unknown: the pace of a queue is.",
        {
            "{{queue}}": known(
                f"topk(1, max by (queue) ({_BUSY}) unless on () ({unknown})) "
                f"or ({idle} unless on () {HELD} > 0)"
            )
        },
        unit="s",
        thresholds=steps(OK, *above(DRAIN_TIME)),
        mappings=theme.OVER_A_DAY,
        named=True,
    )
