"""Drills of workers."""

import signal

import psutil
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from dashboards.drills.drill import MORE_WORKERS, OF_SHORT, REQUEUE, Drill
from dashboards.drills.faults.queue_faults import flood
from dashboards.drills.stage import Stage
from rqmon.demo.jobs import work_for
from scheduler import LONG_RUNNING_QUEUE, SHORT_RUNNING_QUEUE


def _saturated(stage: Stage) -> None:
    flood(stage, 3, 15, LONG_RUNNING_QUEUE)
    flood(stage, 30, 1)


def _frozen(stage: Stage) -> None:
    stage.signal("rq_long", signal.SIGSTOP)


def _end_frozen(stage: Stage) -> None:
    stage.signal("rq_long", signal.SIGKILL)


def _gone(stage: Stage) -> None:
    """Kill a worker that nothing starts again; its key ends after 105 s."""
    before = _workers_of(stage, SHORT_RUNNING_QUEUE)
    stage.command(MORE_WORKERS, stays=True)
    stage.wait(lambda: _workers_of(stage, SHORT_RUNNING_QUEUE) > before, "a worker registers")
    worker = stage.last_started()
    for process in (worker, *worker.children(recursive=True)):
        process.kill()


def _workers_of(stage: Stage, queue: str) -> int:
    return int(stage.redis.scard(WORKERS_BY_QUEUE_KEY % queue))


def _killed_horses(stage: Stage) -> None:
    worker = psutil.Process(stage.pid("rq_short"))
    before = set(worker.children())  # RQ's scheduler is one
    stage.queue(SHORT_RUNNING_QUEUE, work_for, 20)
    stage.wait(lambda: set(worker.children()) - before, "a job's process")
    for horse in set(worker.children()) - before:
        horse.kill()


DRILLS = (
    Drill(
        alert="RQWorkersSaturated",
        fault="both workers are busy, and jobs come",
        inject=_saturated,
        mend=(MORE_WORKERS,),
        stays=True,
    ),
    Drill(
        alert="RQWorkerHeartbeatStale",
        fault="a worker is frozen (SIGSTOP)",
        finding="has sent no heartbeat",
        inject=_frozen,
        mend=("make start-rq-mon",),
        act=_end_frozen,
        fires_within_seconds=150,
        clears_within_seconds=150,
    ),
    Drill(
        alert="RQHorsesKilled",
        fault="the process of a job is killed",
        finding="killed with its process",
        inject=_killed_horses,
        mend=(REQUEUE,),
        names=OF_SHORT,
    ),
    Drill(
        alert="RQWorkersGone",
        fault="a worker is killed, and nothing starts it again",
        inject=_gone,
        mend=("make start-rq-mon",),
        fires_within_seconds=240,
        clears_within_seconds=150,
    ),
)
