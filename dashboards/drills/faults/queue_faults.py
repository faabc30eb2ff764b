"""Drills of queues."""

import signal
from datetime import timedelta

from dashboards.drills.drill import MORE_WORKERS, OF_SHORT, REQUEUE, RESTART, Drill
from dashboards.drills.faults import drill_jobs
from dashboards.drills.stage import Stage
from rqmon.demo.jobs import queue_health_check, work_for
from scheduler import SHORT_RUNNING_QUEUE


def flood(stage: Stage, number: int, seconds: float, queue: str = SHORT_RUNNING_QUEUE) -> None:
    """Queue many jobs at once."""
    for _ in range(number):
        stage.queue(queue, work_for, seconds)


def _no_workers(stage: Stage) -> None:
    stage.stop("rq_short")
    flood(stage, 3, 0.1)


def _stalled(stage: Stage) -> None:
    stage.signal("rq_short", signal.SIGSTOP)
    flood(stage, 3, 0.1)


def _grows(stage: Stage) -> None:
    flood(stage, 100, 2)
    stage.repeat(lambda: stage.queue(SHORT_RUNNING_QUEUE, work_for, 2), every_seconds=0.25)


def _lost_on_the_way(stage: Stage) -> None:
    """Freeze a worker that waits for a job: Redis hands it one, and it does not start that."""
    stage.signal("rq_short", signal.SIGSTOP)
    stage.queue(SHORT_RUNNING_QUEUE, queue_health_check)


def _kill_frozen(stage: Stage) -> None:
    stage.signal("rq_short", signal.SIGKILL)


def _overdue(stage: Stage) -> None:
    stage.stop("rq_short")
    stage.scheduler.enqueue_in(SHORT_RUNNING_QUEUE, timedelta(seconds=1), queue_health_check)


def _deferred(stage: Stage) -> None:
    stage.redis.set(drill_jobs.DOWN, 1)
    needed = stage.queue(SHORT_RUNNING_QUEUE, drill_jobs.call_service)
    stage.queue(SHORT_RUNNING_QUEUE, queue_health_check, depends_on=needed)


def service_up(stage: Stage) -> None:
    """Mend what jobs call."""
    stage.calm()
    stage.redis.delete(drill_jobs.DOWN)


DRILLS = (
    # First, when few jobs have ended: where 20 have, RQWaitSLOBurnFast is told instead.
    Drill(
        alert="RQQueueNotDraining",
        fault="four jobs of two seconds come each second",
        inject=_grows,
        mend=("make purge-queue QUEUE=short-running STATE=queued",),
        act=Stage.calm,
    ),
    Drill(
        alert="RQQueueNoWorkers",
        fault="a queue's worker is stopped, and jobs come",
        finding="No worker listens to short-running",
        inject=_no_workers,
        mend=("make start-rq-mon",),
    ),
    Drill(
        alert="RQQueueStalled",
        fault="a queue's worker is frozen (SIGSTOP), and jobs come",
        finding="has sent no heartbeat",
        inject=_stalled,
        mend=RESTART,
        cleared_by_restart=True,
    ),
    Drill(
        alert="RQQueueLatencyHigh",
        fault="twelve jobs of three seconds come at once",
        inject=lambda stage: flood(stage, 12, 3),
        mend=(MORE_WORKERS,),
        stays=True,
    ),
    Drill(
        alert="RQIntermediateQueueStuck",
        fault="a worker freezes and is killed as it takes a job",
        finding="Between short-running and a worker",
        inject=_lost_on_the_way,
        mend=(REQUEUE,),
        names=OF_SHORT,
        act=_kill_frozen,
        clears_within_seconds=240,
    ),
    Drill(
        alert="RQScheduledOverdue",
        fault="a queue's worker is stopped, and a scheduled job is due",
        finding="No scheduler runs for short-running",
        inject=_overdue,
        mend=("make start-rq-mon",),
    ),
    Drill(
        alert="RQDeferredStuck",
        fault="a job fails for which another one waits",
        finding="will not be queued",
        inject=_deferred,
        mend=(REQUEUE,),
        names=OF_SHORT,
        act=service_up,
        fires_within_seconds=240,
    ),
    Drill(
        alert="RQQueueSuspended",
        fault="rq suspend",
        finding="All workers are suspended",
        inject=lambda stage: stage.command(".venv/bin/rq suspend"),
        mend=(".venv/bin/rq resume",),
    ),
)
