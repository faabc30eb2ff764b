"""Drills of cron."""

import signal
import time

from dashboards.drills.drill import Drill
from dashboards.drills.stage import Stage
from rqmon.demo.jobs import queue_health_check, work_for
from scheduler import SHORT_RUNNING_QUEUE
from scheduler.cron.entries import CatchUp
from scheduler.cron.store.keys import DATA

_ID = {"ID": "drill"}
# Slots come each two seconds, and are late after one.
_SLOTS_SECONDS = 8


def _entry(stage: Stage, catch_up: CatchUp) -> None:
    stage.scheduler.cron(
        SHORT_RUNNING_QUEUE,
        None,
        queue_health_check,
        interval_seconds=2,
        cron_id="drill",
        catch_up=catch_up,
        late_after_seconds=1,
    )
    time.sleep(3)


def _missed(stage: Stage) -> None:
    _entry(stage, "skip")
    stage.stop("rq_sched")
    time.sleep(_SLOTS_SECONDS)
    stage.start("rq_sched")


def _late(stage: Stage) -> None:
    _entry(stage, "all")
    stage.signal("rq_sched", signal.SIGSTOP)
    time.sleep(_SLOTS_SECONDS)
    stage.signal("rq_sched", signal.SIGCONT)


def _overlapping(stage: Stage, interval_seconds: int = 1) -> None:
    stage.scheduler.cron(
        SHORT_RUNNING_QUEUE,
        None,
        work_for,
        (6,),
        interval_seconds=interval_seconds,
        cron_id="drill",
        overlap="skip",
    )


def _stuck(stage: Stage) -> None:
    _entry(stage, "latest")
    stage.redis.hdel(DATA, "drill")


DRILLS = (
    Drill(
        alert="RQCronNoProcess",
        fault="the cron process is stopped",
        finding="No cron process runs",
        inject=lambda stage: stage.stop("rq_sched"),
        mend=("make start-rq-mon",),
    ),
    Drill(
        alert="RQCronMissed",
        fault="the cron process is away for 8 seconds, and the entry makes up for nothing",
        finding="got no job",
        inject=_missed,
        mend=(".venv/bin/rqmon cron run-now ID",),
        names=_ID,
    ),
    Drill(
        alert="RQCronLate",
        fault="the cron process is frozen for 8 seconds",
        finding="got their jobs late",
        inject=_late,
        mend=(".venv/bin/python cron-scheduler.py",),
        stays=True,
        clears_within_seconds=150,
    ),
    Drill(
        alert="RQCronOverlapping",
        fault="an entry's job takes six times as long as the time between its slots",
        inject=_overlapping,
        mend=("Give the entry a longer interval",),
        act=lambda stage: _overlapping(stage, 3600),
        clears_within_seconds=150,
    ),
    Drill(
        alert="RQCronStuck",
        fault="the arguments of an entry are deleted in Redis by hand",
        finding="Cron entry drill can't be queued",
        inject=_stuck,
        mend=(".venv/bin/rqmon cron remove ID",),
        names=_ID,
    ),
)
