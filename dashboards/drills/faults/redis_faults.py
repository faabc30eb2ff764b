"""Drills of the exporter, of Redis, and of the way that alerts take."""

import os
import signal
from contextlib import suppress
from functools import partial
from itertools import count

from redis.exceptions import OutOfMemoryError
from rq.registry import BaseRegistry

from dashboards.drills.drill import RESTART, Drill, nothing
from dashboards.drills.faults import drill_jobs
from dashboards.drills.stage import Stage
from scheduler import LONG_RUNNING_QUEUE

_ROOM_BYTES = 24_000_000
_BALLAST_BYTES = 2_000_000
_FOREIGN_KEY = "rq:wip:drill"
_PURGE = "make purge-queue QUEUE=long-running STATE=failed"


def _fill(stage: Stage, share: float) -> None:
    """Let failed jobs fill Redis's memory, which is limited, up to that share."""
    stage.redis.set(drill_jobs.DOWN, 1)
    stage.redis.config_set("maxmemory", stage.redis.info("memory")["used_memory"] + _ROOM_BYTES)
    failed = stage.scheduler.get_queue(LONG_RUNNING_QUEUE).failed_job_registry
    for queued in count(1):
        info = stage.redis.info("memory")
        if info["used_memory"] + _BALLAST_BYTES / 2 > share * info["maxmemory"]:
            return
        stage.queue(LONG_RUNNING_QUEUE, drill_jobs.call_service, os.urandom(_BALLAST_BYTES))
        # One by one: what a worker has of it in memory is not Redis's.
        stage.wait(partial(_has, failed, queued), "the job fails")


def _has(registry: BaseRegistry, number: int) -> bool:
    return registry.get_job_count(cleanup=False) >= number


def _fill_up(stage: Stage) -> None:
    """The same up to 90%, and queue jobs until no more is taken."""
    _fill(stage, 0.9)
    stage.stop("rq_long")
    with suppress(OutOfMemoryError):
        while True:
            stage.queue(LONG_RUNNING_QUEUE, drill_jobs.call_service, os.urandom(_BALLAST_BYTES // 10))


def _evict(stage: Stage) -> None:
    stage.redis.config_set("maxmemory-policy", "volatile-lru")
    _fill(stage, 0.9)
    for _ in range(10):
        stage.queue("drill", drill_jobs.call_service, os.urandom(_BALLAST_BYTES))


def _overload(stage: Stage) -> None:
    """Keep Redis from answering for 0.6 of each 0.65 seconds."""
    busy = """
    local began = redis.call('TIME')
    repeat
      local now = redis.call('TIME')
    until (now[1] - began[1]) * 1000000 + now[2] - began[2] > 600000
    """
    stage.repeat(lambda: stage.redis.eval(busy, 0), every_seconds=0.05)


def _foreign_key(stage: Stage) -> None:
    stage.redis.sadd("rq:queues", "rq:queue:drill")
    stage.redis.set(_FOREIGN_KEY, "another program's")


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
        mend=RESTART,
        cleared_by_restart=True,
    ),
    Drill(
        alert="RQRedisRefusing",
        fault="Redis's memory is full",
        finding="memory is full",
        inject=_fill_up,
        mend=(_PURGE,),
    ),
    Drill(
        alert="RQScrapeSlow",
        fault="scripts keep Redis busy",
        inject=_overload,
        mend=("Stop what loads the machine or Redis",),
        act=Stage.calm,
    ),
    Drill(
        alert="RQScrapeErrors",
        fault="another program's key has the name of one of RQ's",
        finding="can't be read",
        inject=_foreign_key,
        mend=('redis-cli -u "$RQ_REDIS_URL" type KEY', "delete or rename it"),
        names={"KEY": _FOREIGN_KEY},
        act=lambda stage: stage.redis.delete(_FOREIGN_KEY),
    ),
    Drill(
        alert="RQRedisMemoryHigh",
        fault="failed jobs fill Redis's memory to 94%",
        finding="of the memory it may use",
        inject=lambda stage: _fill(stage, 0.96),
        mend=(_PURGE,),
    ),
    Drill(
        alert="RQRedisEvicting",
        fault="Redis's memory is full and maxmemory-policy is volatile-lru",
        finding="deletes keys when its memory is full",
        inject=_evict,
        mend=('redis-cli -u "$RQ_REDIS_URL" config set maxmemory-policy noeviction', _PURGE),
    ),
    Drill(
        alert="RQRedisNotPersisting",
        fault="the append-only file is turned off",
        finding="does not save to disk",
        inject=lambda stage: stage.redis.config_set("appendonly", "no"),
        mend=('redis-cli -u "$RQ_REDIS_URL" config set appendonly yes',),
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
