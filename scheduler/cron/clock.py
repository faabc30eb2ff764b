"""The clock of Redis, which decides when cron slots are due, and this process's, which only checks it."""

import logging
import time
from datetime import UTC, datetime
from typing import Any

# How far a server's clock may move away from ours between two looks, besides the time an answer takes.
TOLERANCE_SECONDS = 5.0
# How long a clock that jumped must run evenly before it is believed.
SETTLING_SECONDS = 60.0

# If there is one, a clock that runs on while the machine sleeps: waking up is not a jump of the server's.
_OWN_CLOCK = getattr(time, "CLOCK_BOOTTIME", None) or time.CLOCK_MONOTONIC

_log = logging.getLogger(__name__)


def own_seconds() -> float:
    """Seconds by a clock that nobody sets."""
    return time.clock_gettime(_OWN_CLOCK)


def from_answer(answer: tuple[int, int]) -> datetime:
    """Return the server's answer to TIME (seconds and microseconds) as a datetime in UTC."""
    return datetime.fromtimestamp(answer[0] + answer[1] / 1e6, UTC)


def server_time(connection: Any) -> datetime:
    """Return the server's time."""
    return from_answer(connection.time())


class ServerClock:
    """Tells whether the server's clock can be believed. For a minute after a jump it can't.

    A clock that is set ahead by accident is often corrected seconds later. The slots in between were never
    due, so nothing is queued, counted or moved until the clock is back, or has run evenly for
    `SETTLING_SECONDS` from where it jumped to.

    Attributes:
        jump_seconds: How far it has jumped, while it is not believed; 0 otherwise.
        settled: How many times it was believed again.
    """

    def __init__(self) -> None:
        self.jump_seconds = 0.0
        self.settled = 0
        self._before: tuple[datetime, float, float] | None = None
        self._jumped_at = 0.0

    def believes(self, now: datetime, *, asked: float, answered: float) -> bool:
        """Whether slots may be handled at `now`.

        Args:
            now: What the server said.
            asked: `own_seconds` before it was asked.
            answered: `own_seconds` after it answered. `now` is from somewhere in between, so a slow answer or
                a stopped process is not a jump.
        """
        if self._before is None:
            self._before = now, asked, answered
        before, asked_before, answered_before = self._before
        passed = (now - before).total_seconds()
        least, most = asked - answered_before, answered - asked_before
        jump = passed - min(max(passed, least), most)
        if abs(jump) <= TOLERANCE_SECONDS:
            self._settle(now, asked, answered)
        elif not self.jump_seconds or abs(jump - self.jump_seconds) > TOLERANCE_SECONDS:
            _log.warning(
                "redis_clock_jumped", extra={"seconds": round(jump, 1), "redis_time": now.isoformat()}
            )
            self.jump_seconds, self._jumped_at = jump, answered
        elif answered - self._jumped_at >= SETTLING_SECONDS:
            self._settle(now, asked, answered)
        return not self.jump_seconds

    def _settle(self, now: datetime, asked: float, answered: float) -> None:
        if self.jump_seconds:
            _log.warning("redis_clock_believed", extra={"redis_time": now.isoformat()})
            self.settled += 1
        self._before = now, asked, answered
        self.jump_seconds = 0.0
