"""Drills of the exporter, of Redis, and of the way that alerts take."""

import os
import signal
import time
from datetime import timedelta
from functools import partial
from itertools import count, cycle

from rq import Queue
from rq.registry import BaseRegistry, StartedJobRegistry

from dashboards.drills.drill import Drill, nothing
from dashboards.drills.faults import drill_jobs
from dashboards.drills.stage import Stage
from scheduler import LONG_RUNNING_QUEUE

# To write a job takes twice its size more for a moment: at 91% there is room for that.
_ROOM_BYTES = 40_000_000
_BALLAST_BYTES = 1_000_000
_FULL = 0.91
# Several, as a drill has a sixtieth of the scrapes in which one is met.
_FOREIGN_QUEUES = tuple(f"drill-{n}" for n in range(6))
_FOREIGN_KEYS = tuple(StartedJobRegistry.key_template.format(name) for name in _FOREIGN_QUEUES)
_PURGE = "make purge-queue QUEUE=long-running STATE=failed"


def _fill(stage: Stage) -> None:
    """Let failed jobs fill 91% of Redis's memory, which is limited."""
    stage.redis.set(drill_jobs.DOWN, 1)
    stage.redis.config_set("maxmemory", stage.redis.info("memory")["used_memory"] + _ROOM_BYTES)
    failed = stage.scheduler.get_queue(LONG_RUNNING_QUEUE).failed_job_registry
    for queued in count(1):
        info = stage.redis.info("memory")
        if info["used_memory"] > _FULL * info["maxmemory"]:
            return
        stage.queue(LONG_RUNNING_QUEUE, drill_jobs.call_service, os.urandom(_BALLAST_BYTES))
        # One by one: what a worker has of it in memory is not Redis's.
        stage.wait(partial(_has, failed, queued), "the job fails")


def _unlimited(stage: Stage) -> None:
    stage.redis.config_set("maxmemory", 0)
    stage.redis.delete(drill_jobs.DOWN)


def _has(registry: BaseRegistry, number: int) -> bool:
    return registry.get_job_count(cleanup=False) >= number


def _later(stage: Stage, size: int) -> None:
    """Schedule a job for later, which no worker needs to look at now."""
    stage.scheduler.enqueue_in(
        LONG_RUNNING_QUEUE, timedelta(hours=1), drill_jobs.call_service, os.urandom(size)
    )


def _fill_up(stage: Stage) -> None:
    """The same, and go on: where no large job is taken, a small one is."""
    _fill(stage)
    sizes = cycle((_BALLAST_BYTES, 100_000, 10_000, 1_000, 1_000))
    stage.repeat(lambda: _later(stage, next(sizes)), every_seconds=0.02)


def _evict(stage: Stage) -> None:
    stage.redis.config_set("maxmemory-policy", "volatile-lru")
    _fill(stage)
    for _ in range(20):
        _later(stage, _BALLAST_BYTES)


def _slow_redis(stage: Stage) -> None:
    """Let Redis answer for 0.1 of each 0.8 seconds, as one that is overloaded."""

    def turn() -> None:
        stage.signal("redis", signal.SIGSTOP)
        time.sleep(0.7)
        stage.signal("redis", signal.SIGCONT)

    stage.repeat(turn, every_seconds=0.1)


def _foreign_keys(stage: Stage) -> None:
    keys = (f"{Queue.redis_queue_namespace_prefix}{name}" for name in _FOREIGN_QUEUES)
    stage.redis.sadd(Queue.redis_queues_keys, *keys)
    stage.redis.mset(dict.fromkeys(_FOREIGN_KEYS, "another program's"))


DRILLS = (
    Drill(
        alert="RQWatchdog",
        fault="none: it always fires",
        inject=nothing,
        mend=(),
        never_clears=True,
    ),
    Drill(
        alert="RQExporterDown",
        fault="the exporter is stopped",
        finding="The service rq_exporter is not healthy",
        inject=lambda stage: stage.stop("rq_exporter"),
        mend=("make start-rq-mon",),
    ),
    Drill(
        alert="RQRedisDown",
        fault="Redis is frozen (SIGSTOP)",
        finding="Redis does not answer",
        inject=lambda stage: stage.signal("redis", signal.SIGSTOP),
        mend=("end it (`kill -9 PID`",),
        act=lambda stage: stage.signal("redis", signal.SIGKILL),
    ),
    Drill(
        alert="RQRedisRefusing",
        fault="Redis's memory is full",
        finding="Redis refuses (OOM)",
        inject=_fill_up,
        mend=(_PURGE,),
        act=Stage.calm,
        afterwards=_unlimited,
    ),
    Drill(
        alert="RQScrapeSlow",
        fault="Redis gets an eighth of the processor's time (SIGSTOP)",
        inject=_slow_redis,
        mend=("Stop what loads the machine or Redis",),
        act=Stage.calm,
    ),
    Drill(
        alert="RQScrapeErrors",
        fault="another program's keys have names of RQ's",
        finding="can't be read",
        inject=_foreign_keys,
        mend=(".venv/bin/rqmon redis type KEY", "delete or rename it"),
        names={"KEY": _FOREIGN_KEYS[0]},
        act=lambda stage: stage.redis.delete(*_FOREIGN_KEYS),
        afterwards=lambda stage: stage.redis.delete(*_FOREIGN_KEYS),
    ),
    Drill(
        alert="RQRedisMemoryHigh",
        fault="failed jobs fill Redis's memory to 91%",
        finding="of the memory it may use",
        inject=_fill,
        mend=(_PURGE,),
        afterwards=_unlimited,
    ),
    Drill(
        alert="RQRedisEvicting",
        fault="Redis's memory is full and maxmemory-policy is volatile-lru",
        finding="deletes keys when its memory is full",
        inject=_evict,
        mend=(".venv/bin/rqmon redis config set maxmemory-policy noeviction", _PURGE),
        afterwards=_unlimited,
    ),
    Drill(
        alert="RQRedisNotPersisting",
        fault="the append-only file is turned off",
        finding="does not save to disk",
        inject=lambda stage: stage.redis.config_set("appendonly", "no"),
        mend=(".venv/bin/rqmon redis config set appendonly yes",),
        fires_within_seconds=200,
    ),
    Drill(
        alert="RQAlertsNotDelivered",
        fault="one of two receivers refuses what it is told",
        inject=lambda stage: setattr(stage.receiver, "refuses_watchdog", True),
        mend=("mend the receiver's address or key",),
        act=lambda stage: setattr(stage.receiver, "refuses_watchdog", False),
    ),
)
