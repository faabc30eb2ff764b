"""The cron process: reconciles the entries it is given, if any, then handles each slot as it comes."""

import gc
import logging
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict
from types import FrameType
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from scheduler.config import Settings
from scheduler.connections.refusals import describe, refusal
from scheduler.connections.server_version import require_supported
from scheduler.cron.claims import Claimer, Look
from scheduler.cron.entries import CronEntry

# Programs import these names from here, all but Heart: they are part of this module's interface.
from scheduler.cron.heartbeats import LIVE_SECONDS as LIVE_SECONDS
from scheduler.cron.heartbeats import PROCESSES as PROCESSES
from scheduler.cron.heartbeats import Heart
from scheduler.cron.heartbeats import live_processes as live_processes
from scheduler.cron.store.keys import EMPTIED
from scheduler.cron.store.registry import CronRegistry, declaring
from scheduler.cron.store.stored import text
from scheduler.cron.store.upkeep import Sizes, Upkeep
from scheduler.queues import shared_connection

# How soon an entry registered by another process is seen; also the longest that a tick waits.
_POLL_SECONDS = 1.0
_BACKOFF_SECONDS = (0.25, 0.5, 1.0, 2.0)
# Waiting does not mend these. At the start they end the process, so that somebody looks.
_FOR_A_PERSON = ("NOPERM", "NOAUTH")

_log = logging.getLogger(__name__)


class CronProcess:
    """Queues the job of each slot of each cron entry in Redis, until it is stopped.

    Args:
        schedule_jobs: Calls `job_scheduler(..., cron=...)` once for each entry of this program. None is a
            program without entries of its own: those in Redis stay as they are.
        version: The program's, so that people see which one runs.
        connection: By default the shared connection of `RQ_REDIS_URL`, or of the settings'.
        settings: By default those of the environment.
    """

    def __init__(
        self,
        schedule_jobs: Callable[[], object] | None,
        *,
        version: str = "",
        connection: Redis | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._schedule_jobs = schedule_jobs
        self._connection: Any = connection or shared_connection(settings.redis_url if settings else None)
        self._registry = CronRegistry(self._connection, settings=settings)
        self._claimer = Claimer(self._connection, settings=settings)
        self._upkeep = Upkeep(self._connection, self._claimer.clock)
        self._heart = Heart(self._connection, version=version)
        self._stopped = threading.Event()
        self._entries: list[CronEntry] = []
        self._is_started = False
        self._epoch: str | None = None
        self._settled = 0
        self._incomplete: Sizes | None = None
        self._failures = 0
        self._failing: str | None = None

    def run(self) -> None:
        """Reconcile, then work until SIGTERM or SIGINT.

        The process waits while Redis is away, and goes on even if Redis lost its data: after a flush the
        entries are written again. It also waits while Redis refuses, even at the start, and then drops its
        connections: after a failover they lead to a replica.

        Raises:
            SchedulerError: An entry is invalid; nothing was changed.
            redis.RedisError: At the start Redis does not answer, or refuses the user.
        """
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        if self._schedule_jobs is not None:
            with declaring() as self._entries:
                self._schedule_jobs()
        while not self._stopped.is_set():
            try:
                wait_seconds = self._tick()
            except Exception as error:  # nothing stored in Redis may end the process
                code = refusal(error)
                is_waited_for = code not in _FOR_A_PERSON and (code or isinstance(error, ResponseError))
                if not self._is_started and not is_waited_for:
                    raise
                wait_seconds = self._failed(error, code)
            else:
                self._succeeded()
            self._stopped.wait(wait_seconds)
        self._leave()

    def _tick(self) -> float:
        if not self._is_started:
            self._start()
        is_beat = self._beat()
        look = self._claimer.look()
        if not look.is_believed:
            self._trouble(
                f"the clock of Redis jumped by {self._claimer.clock.jump_seconds:.0f} s: "
                "waiting until it is back, or has gone on for a minute"
            )
            return _POLL_SECONDS
        if self._settled != self._claimer.clock.settled:
            self._settled = self._claimer.clock.settled
            self._upkeep.mend_all_slots()
            return 0.0
        if look.epoch != self._epoch:
            self._write_again(look)
            return 0.0
        if is_beat or self._claimer.waiting or (look.first and look.first <= look.now):
            self._claim_due()
        self._heart.worked()
        if is_beat:
            self._keep()
        if look.first is None:
            return _POLL_SECONDS
        return min(max((look.first - look.now).total_seconds(), 0.0), _POLL_SECONDS)

    def _start(self) -> None:
        require_supported(self._connection)
        self._claim_due()  # by the schedules that gave these slots
        self._reconcile()
        self._upkeep.mend_all_slots()
        self._is_started = True
        # The entries live as long as the process: garbage collection need not look at them.
        gc.collect()
        gc.freeze()
        self._heart.worked()

    def _reconcile(self) -> None:
        if self._schedule_jobs is None:  # an empty list would remove what other programs declared
            return
        difference, self._epoch = self._registry.reconcile(self._entries)
        _log.info("cron_reconciled", extra=asdict(difference))

    def _write_again(self, look: Look) -> None:
        """Write the entries again after Redis was flushed, or somebody removed them all."""
        if self._schedule_jobs is None or (look.epoch or "").startswith(EMPTIED):
            self._epoch = look.epoch
            return
        _log.warning("cron_entries_lost")
        self._heart.hurry()
        self._claim_due()
        self._reconcile()

    def _keep(self) -> None:
        """Restore evicted or deleted keys, and mend slots that are not in the schedule."""
        self._upkeep.mend_some_slots()
        sizes = self._upkeep.sizes()
        is_empty = not sizes.specs and self._entries and not (self._epoch or "").startswith(EMPTIED)
        if sizes.is_whole and not is_empty:
            self._incomplete = None
            return
        if sizes == self._incomplete:
            return
        _log.warning("cron_entries_incomplete", extra=asdict(sizes))
        self._reconcile()
        self._upkeep.give_slots()
        # What can't be mended, such as an entry whose arguments are lost, is shown by `rqmon cron list`.
        self._incomplete = self._upkeep.sizes()

    def _claim_due(self) -> None:
        while not self._stopped.is_set() and (claims := self._claimer.claim()) is not None:
            for claim in claims:
                behind = claim.lateness_seconds
                _log.info(
                    "cron_enqueued",
                    extra={
                        "cron_id": claim.entry_id,
                        "job_id": claim.job_id,
                        "slot": claim.slot.isoformat(),
                        "lateness_seconds": None if behind is None else round(behind, 3),
                    },
                )
            self._heart.worked()
            self._beat()

    def _beat(self) -> bool:
        passed_over = {text(id_): reason for id_, reason in self._claimer.passed_over.items()}
        return self._heart.beat(passed_over)

    def _trouble(self, said: str) -> None:
        if not self._heart.trouble:
            self._heart.hurry()
        self._heart.trouble = said

    def _failed(self, error: Exception, code: str | None) -> float:
        """Log once what is wrong, prepare the next attempt, and return how many seconds to wait for it."""
        is_lost = isinstance(error, RedisConnectionError | RedisTimeoutError)
        failing = code or ("redis_lost" if is_lost else type(error).__name__)
        said = describe(error) if isinstance(error, RedisError) else f"{failing}: {error}"
        if failing != self._failing:
            if code:
                _log.warning("redis_refuses", extra={"code": code, "error": said})
            elif is_lost:
                _log.warning("redis_lost", extra={"error": str(error)})
            else:
                is_ours = not isinstance(error, RedisError)
                _log.error("cron_failed", extra={"error": said}, exc_info=error if is_ours else None)
        self._failing = failing
        if code:
            # The address may now lead to another server, the new primary.
            self._connection.connection_pool.disconnect()
        self._heart.trouble = said
        self._heart.hurry()  # so that a heartbeat is written first: a Redis that can only be read is not back
        wait_seconds = _BACKOFF_SECONDS[min(self._failures, len(_BACKOFF_SECONDS) - 1)]
        self._failures += 1
        return wait_seconds

    def _succeeded(self) -> None:
        if self._failures:
            _log.info("redis_back", extra={"failures": self._failures})
            self._heart.hurry()
        self._failures, self._failing = 0, None

    def _leave(self) -> None:
        try:
            self._heart.stop()
        except RedisError as error:
            _log.warning("redis_lost", extra={"error": str(error)})
        _log.info("cron_stopped")

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopped.set()
