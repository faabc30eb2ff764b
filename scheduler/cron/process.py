"""The cron process: reconciles the entries it is given, then enqueues each slot as it comes."""

import logging
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from types import FrameType

from redis import Redis
from redis.exceptions import RedisError

from scheduler.cron.registry import CronRegistry, declaring
from scheduler.queues import shared_connection

# How soon an entry that another process registered is seen, and how long a tick waits at most.
_POLL_SECONDS = 1.0
_BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0)

_log = logging.getLogger(__name__)


class CronProcess:
    """Enqueues each slot of each cron entry in Redis, until it is stopped.

    Args:
        schedule_jobs: Calls `job_scheduler(..., cron=...)` once for each entry of this program.
        connection: By default the shared connection of `RQ_REDIS_URL`.
    """

    def __init__(self, schedule_jobs: Callable[[], object], *, connection: Redis | None = None) -> None:
        self._schedule_jobs = schedule_jobs
        self._registry = CronRegistry(connection or shared_connection())
        self._stopped = threading.Event()

    def run(self) -> None:
        """Reconcile, then work until SIGTERM or SIGINT; Redis going away and coming back is waited out.

        Raises:
            SchedulerError: An entry is invalid; nothing was changed.
            redis.RedisError: Redis does not answer at the start.
        """
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        with declaring() as entries:
            self._schedule_jobs()
        reconciled = self._registry.reconcile(entries, now=datetime.now(UTC))
        _log.info("cron_reconciled", extra=asdict(reconciled))
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
        _log.info("cron_stopped")

    def _tick(self) -> float:
        while claims := self._registry.claim_due(now=datetime.now(UTC)):
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
        due = self._registry.next_due()
        until_due = (due - datetime.now(UTC)).total_seconds() if due else _POLL_SECONDS
        return min(max(until_due, 0.0), _POLL_SECONDS)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopped.set()
