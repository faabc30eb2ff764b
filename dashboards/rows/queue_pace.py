"""How fast each queue drains, and the tile for the slowest: on RQ Queues and the RQ Dashboard."""

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

_BY = "redis, queue"  # a queue has only the workers of its own server
HELD, LISTEN = total(RQ_JOBS, by=_BY, status="queued"), total(RQ_QUEUE_WORKERS, by=_BY)
NO_WORKER = f"({HELD} > 0) unless {LISTEN} > 0"
# For all functions, because depth is known only by queue.
_RECORDED = rate(RQ_JOBS_PROCESSED_TOTAL, by=_BY, window=RECENT, any_function=True)
# Workers' own counts, if they listen to one queue only: plain `rq worker`s give nothing else.
_COUNTED = " + ".join(
    rate(metric, by="redis, queues", window=RECENT)
    for metric in (RQ_WORKERS_SUCCESS_TOTAL, RQ_WORKERS_FAILED_TOTAL)
)
_OF_ONE_QUEUE = f'sum by ({_BY}) (label_join({_COUNTED}, "queue", "", "queues"))'
_PACE = f"(0 * ({NO_WORKER}) or {_RECORDED} or {_OF_ONE_QUEUE})"
_BUSY = f"clamp_max(({HELD} > 0) / {_PACE}, {theme.DAY_SECONDS})"
DRAINS_IN = f"{_BUSY} or 0 * ({HELD} == 0)"


def slowest_queue() -> core.Stat:
    """How long the slowest queue needs to drain; unknown while it is unknown for any queue."""
    idle = 'label_replace(vector(0), "queue", "Every queue", "", "")'
    unknown = f"({HELD} > 0) unless {_BUSY}"
    return panels.stat(
        "Slowest queue drains in",
        "Queued jobs by the pace of the last 5 minutes, of the queue that needs longest. Rising: add "
        "workers to it. A standstill, or no worker, shows as 'Over a day'. Unknown if any queue's pace is.",
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
