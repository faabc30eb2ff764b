"""Drills of jobs and their objectives."""

import time
from collections.abc import Callable
from itertools import count

import psutil
from rq import Retry

from dashboards.drills.drill import MORE_WORKERS, OF_SHORT, REQUEUE, RESTART, Drill
from dashboards.drills.faults import drill_jobs
from dashboards.drills.faults.queue_faults import flood, service_up
from dashboards.drills.scaled import FACTOR
from dashboards.drills.stage import Stage
from rqmon.demo.jobs import queue_health_check, work_for
from scheduler import LONG_RUNNING_QUEUE, SHORT_RUNNING_QUEUE

_STOP = (
    ">>> import os, redis, rq.command",
    '>>> rq.command.send_stop_job_command(redis.Redis.from_url(os.environ["RQ_REDIS_URL"]), "JOB_ID")',
)
_HANGING = "drill-hangs"
# A day and an hour more, at the factor of the rules.
_DAY_SECONDS = 25 * 3600 / FACTOR
_LOST = tuple(f"drill-lost-{n}" for n in range(5))


def _failing(*, one_in: int, every_seconds: float) -> Callable[[Stage], None]:
    def inject(stage: Stage) -> None:
        stage.redis.set(drill_jobs.DOWN, 1)
        turn = count()

        def queue_one() -> None:
            fails = next(turn) % one_in == 0
            stage.queue(SHORT_RUNNING_QUEUE, drill_jobs.call_service if fails else queue_health_check)

        stage.repeat(queue_one, every_seconds=every_seconds)

    return inject


def _retried(stage: Stage) -> None:
    stage.redis.set(drill_jobs.DOWN, 1)
    stage.repeat(
        lambda: stage.queue(SHORT_RUNNING_QUEUE, drill_jobs.call_service, retry=Retry(max=30)),
        every_seconds=5,
    )


def _killed_worker(stage: Stage) -> None:
    stage.queue(SHORT_RUNNING_QUEUE, work_for, 20)
    worker = psutil.Process(stage.pid("rq_short"))
    stage.wait(worker.children, "a job's process")
    for process in (worker, *worker.children()):
        process.kill()


def _deleted_queue(stage: Stage) -> None:
    stage.stop("rq_long")
    for job_id in _LOST:
        stage.queue(LONG_RUNNING_QUEUE, queue_health_check, job_id=job_id)
    stage.redis.delete(stage.scheduler.get_queue(LONG_RUNNING_QUEUE).key)
    stage.start("rq_long")


def _queued_anew(stage: Stage) -> None:
    for job_id in _LOST:
        stage.queue(LONG_RUNNING_QUEUE, queue_health_check, job_id=job_id)


def _some_wait(stage: Stage) -> None:
    """Each nine seconds: a job of seven, ten that wait for it, and then ten that do not."""

    def once() -> None:
        stage.queue(LONG_RUNNING_QUEUE, work_for, 7)
        flood(stage, 10, 0, LONG_RUNNING_QUEUE)

    stage.repeat(once, every_seconds=12)
    stage.repeat(lambda: flood(stage, 1, 0, LONG_RUNNING_QUEUE), every_seconds=0.9)


def _limited(stage: Stage) -> None:
    retry = Retry(max=1, interval=3600)  # or each one fails for good
    stage.repeat(
        lambda: stage.queue(SHORT_RUNNING_QUEUE, drill_jobs.call_limited, retry=retry), every_seconds=0.2
    )


def _silent(stage: Stage) -> None:
    stage.repeat(lambda: stage.queue(SHORT_RUNNING_QUEUE, drill_jobs.run_steadily), every_seconds=2)
    time.sleep(_DAY_SECONDS)
    stage.calm()


def _other_buckets(stage: Stage) -> None:
    """Begin anew with other bounds: those that were once counted stay in Redis."""
    stage.set_variable("RQ_JOB_BUCKETS", "0.1,1,10,60,600")
    stage.redis.flushdb()
    for command in RESTART:
        stage.command(command)
    stage.repeat(lambda: stage.queue(SHORT_RUNNING_QUEUE, queue_health_check), every_seconds=1)


def _bounds_of_objectives(stage: Stage) -> None:
    stage.set_variable("RQ_JOB_BUCKETS", "0.1,0.5,1,5,10,60,600")


DRILLS = (
    Drill(
        alert="RQJobHighFailRate",
        fault="one job in five fails",
        finding="ServiceDownError",
        inject=_failing(one_in=5, every_seconds=0.2),
        mend=(REQUEUE,),
        names=OF_SHORT,
        act=service_up,
    ),
    Drill(
        alert="RQRetryStorm",
        fault="jobs fail and are retried, 30 times each",
        inject=_retried,
        mend=("Mend what the jobs call",),
        act=service_up,
    ),
    Drill(
        alert="RQJobRunningTooLong",
        fault="a job goes on and on",
        inject=lambda stage: stage.queue(SHORT_RUNNING_QUEUE, work_for, 900, job_id=_HANGING, job_timeout=-1),
        mend=_STOP,
        names={"JOB_ID": _HANGING},
        fires_within_seconds=150,
    ),
    Drill(
        alert="RQJobsAbandoned",
        fault="a worker is killed with the process of its job",
        finding="failed job",
        inject=_killed_worker,
        mend=("make start-rq-mon", REQUEUE),
        names=OF_SHORT,
        fires_within_seconds=240,
    ),
    Drill(
        alert="RQJobsUnaccounted",
        fault="a queue's list is deleted by hand",
        finding="are nowhere in RQ",
        inject=_deleted_queue,
        mend=("Whoever queued the jobs has to queue them anew",),
        act=_queued_anew,
        fires_within_seconds=240,
        clears_within_seconds=120,
    ),
    Drill(
        alert="RQRateLimitStarved",
        fault="five jobs a second ask for what one a minute gets",
        finding="The rate limit of drill",
        inject=_limited,
        mend=("Queue fewer such jobs",),
        act=Stage.calm,
    ),
    Drill(
        alert="RQErrorSLOBurnFast",
        fault="every job fails",
        finding="ServiceDownError",
        inject=_failing(one_in=1, every_seconds=0.2),
        mend=(REQUEUE,),
        names=OF_SHORT,
        act=service_up,
        clears_within_seconds=150,
    ),
    Drill(
        alert="RQErrorSLOBurnSlow",
        fault="one job in five fails, and there are few",
        finding="ServiceDownError",
        inject=_failing(one_in=5, every_seconds=1),
        mend=(REQUEUE,),
        names=OF_SHORT,
        act=service_up,
        fires_within_seconds=240,
        clears_within_seconds=240,
    ),
    Drill(
        alert="RQWaitSLOBurnFast",
        fault="100 jobs come at once",
        inject=lambda stage: flood(stage, 100, 0.3),
        mend=(MORE_WORKERS,),
        stays=True,
    ),
    Drill(
        alert="RQWaitSLOBurnSlow",
        fault="half of the jobs wait too long, now and then",
        inject=_some_wait,
        mend=("More workers at those times",),
        act=Stage.calm,
        fires_within_seconds=240,
        clears_within_seconds=240,
    ),
    Drill(
        alert="RQWaitObjectiveUnmeasured",
        fault="RQ_JOB_BUCKETS lacks the objective's bound",
        inject=_other_buckets,
        mend=("add it to `RQ_JOB_BUCKETS` in `.env` and restart workers and exporter", *RESTART),
        act=_bounds_of_objectives,
        cleared_by_restart=True,
    ),
    Drill(
        alert="RQFunctionSilent",
        fault="a function that ran for what is a day is not queued any more",
        inject=_silent,
        mend=("Start again what queues it",),
        act=lambda stage: stage.queue(SHORT_RUNNING_QUEUE, drill_jobs.run_steadily),
        fires_within_seconds=180,
    ),
)
