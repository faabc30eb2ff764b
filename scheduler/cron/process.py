"""The cron process: reconciles the entries it is given, then deals with each slot as it comes."""

import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from types import FrameType
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from scheduler.cron.claims import Claimer
from scheduler.cron.registry import CronRegistry, declaring
from scheduler.queues import shared_connection
from scheduler.server_version import require_supported

PROCESSES = "rqmon:cron:processes"  # hash: "host:pid" -> JSON, of processes that run and lately ran
HEARTBEAT_SECONDS = 5.0
# A process whose heartbeat is older is not counted as live.
LIVE_SECONDS = 3 * HEARTBEAT_SECONDS

# How soon an entry that another process registered is seen, and how long a tick waits at most.
_POLL_SECONDS = 1.0
_BACKOFF_SECONDS = (0.25, 0.5, 1.0, 2.0)

_log = logging.getLogger(__name__)


def live_processes(connection: Redis) -> dict[str, dict[str, Any]]:
    """The cron processes that run, by name: host, pid, version, started_at and heartbeat (Unix times)."""
    answer: Any = connection.hgetall(PROCESSES)
    processes = {name.decode(): json.loads(process) for name, process in answer.items()}
    return {name: p for name, p in processes.items() if time.time() - p["heartbeat"] < LIVE_SECONDS}


class CronProcess:
    """Queues the job of each slot of each cron entry in Redis, until it is stopped.

    Args:
        schedule_jobs: Calls `job_scheduler(..., cron=...)` once for each entry of this program.
        version: Of the program, for people to see which one runs.
        connection: By default the shared connection of `RQ_REDIS_URL`.
    """

    def __init__(
        self, schedule_jobs: Callable[[], object], *, version: str = "", connection: Redis | None = None
    ) -> None:
        self._schedule_jobs = schedule_jobs
        self._connection: Any = connection or shared_connection()
        self._registry = CronRegistry(self._connection)
        self._claimer = Claimer(self._connection)
        self._stopped = threading.Event()
        self._epoch: str | None = None
        self._heartbeat_due = 0.0
        self._about = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": version,
            "started_at": time.time(),
        }

    def run(self) -> None:
        """Reconcile, then work until SIGTERM or SIGINT.

        Redis going away and coming back is waited out, with or without its data: after a flush the
        entries are written again.

        Raises:
            SchedulerError: An entry is invalid; nothing was changed.
            redis.RedisError: Redis does not answer at the start.
        """
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        require_supported(self._connection)
        with declaring() as entries:
            self._schedule_jobs()
        self._entries = entries
        self._reconcile()
        failures = 0
        while not self._stopped.is_set():
            try:
                wait_seconds = self._tick()
                if failures:
                    _log.info("redis_back", extra={"failures": failures})
                failures = 0
            except RedisError as error:
                if not failures:
                    _log.warning("redis_lost", extra={"error": str(error)})
                wait_seconds = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
                failures += 1
            self._stopped.wait(wait_seconds)
        self._leave()

    def _reconcile(self) -> None:
        self._claim_due()  # by the schedules that gave these slots
        difference, self._epoch = self._registry.reconcile(self._entries, now=self._claimer.look().now)
        _log.info("cron_reconciled", extra=asdict(difference))

    def _tick(self) -> float:
        look = self._claimer.look()
        if look.epoch != self._epoch:
            _log.warning("cron_entries_lost")
            self._heartbeat_due = 0.0
            self._reconcile()
            return 0.0
        self._beat()
        if look.first is None:
            return _POLL_SECONDS
        if look.first <= look.now:
            self._claim_due()
            return 0.0
        return min((look.first - look.now).total_seconds(), _POLL_SECONDS)

    def _claim_due(self) -> None:
        while not self._stopped.is_set() and (claims := self._claimer.claim()) is not None:
            for claim in claims:
                _log.info(
                    "cron_enqueued",
                    extra={
                        "cron_id": claim.entry_id,
                        "job_id": claim.job_id,
                        "slot": claim.slot.isoformat(),
                        "lateness_seconds": round(claim.lateness_seconds, 3),
                    },
                )

    def _beat(self) -> None:
        if time.monotonic() < self._heartbeat_due:
            return
        self._heartbeat_due = time.monotonic() + HEARTBEAT_SECONDS
        name = f"{self._about['host']}:{self._about['pid']}"
        live = {name, *live_processes(self._connection)}
        gone = [known for known in self._connection.hkeys(PROCESSES) if known.decode() not in live]
        with self._connection.pipeline() as pipe:
            pipe.hset(PROCESSES, name, json.dumps({**self._about, "heartbeat": time.time()}))
            if gone:
                pipe.hdel(PROCESSES, *gone)
            pipe.execute()

    def _leave(self) -> None:
        try:
            self._connection.hdel(PROCESSES, f"{self._about['host']}:{self._about['pid']}")
        except RedisError as error:
            _log.warning("redis_lost", extra={"error": str(error)})
        _log.info("cron_stopped")

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopped.set()
