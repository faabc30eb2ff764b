"""Mends stored entries: next slots that are not in the schedule, and keys that were lost."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from scheduler.connections.refusals import refusal
from scheduler.cron.clock import TOLERANCE_SECONDS, ServerClock, own_seconds, server_time
from scheduler.cron.slots import Schedule
from scheduler.cron.store.keys import DATA, NEXT, PAUSED, SPECS
from scheduler.cron.store.stored import loaded, moment, schedule_of, text
from scheduler.errors import CronError
from scheduler.ledger.cron import LAST

# Few enough that ten thousand entries cost an idle process next to nothing.
_AT_A_TIME = 10
_BATCH = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many entries each key has."""

    specs: int
    data: int
    slots: int
    paused: int

    @property
    def is_whole(self) -> bool:
        """Whether every entry has its arguments, and a next slot unless it is paused."""
        return self.specs == self.data == self.slots + self.paused


class Upkeep:
    """Looks after the stored entries, and mends what can be mended.

    Each transaction asks for the time after its keys are watched. With an older time, a slot that another
    process has claimed since would still seem to lie ahead, and would be queued twice.

    Args:
        connection: The connection to Redis.
        clock: Tells whether the server's clock is believed; while it is not, nothing is moved.
    """

    def __init__(self, connection: Redis, clock: ServerClock) -> None:
        self._connection: Any = connection
        self._clock = clock
        self._rank = 0

    def sizes(self) -> Sizes:
        """Count each key's entries, all at one moment."""
        with self._connection.pipeline() as pipe:
            pipe.hlen(SPECS)
            pipe.hlen(DATA)
            pipe.zcard(NEXT)
            pipe.scard(PAUSED)
            return Sizes(*pipe.execute())

    def mend_some_slots(self) -> None:
        """Check a few next slots. Each call continues where the last one ended, so all get their turn."""
        self._rank = self._mend(self._rank, _AT_A_TIME)

    def mend_all_slots(self) -> None:
        """Check all next slots."""
        rank = self._mend(0, _BATCH)
        while rank:
            rank = self._mend(rank, _BATCH)

    def give_slots(self) -> None:
        """Give a next slot to every entry that should have one and has none."""
        given: dict[bytes, datetime] = {}

        def change(pipe: Any) -> None:
            given.clear()
            known = {*pipe.zrange(NEXT, 0, -1), *pipe.smembers(PAUSED)}
            specs = {id_: spec for id_, spec in pipe.hgetall(SPECS).items() if id_ not in known}
            given.update(self._following(pipe, specs))
            pipe.multi()
            if given:
                pipe.zadd(NEXT, {id_: slot.timestamp() for id_, slot in given.items()})

        self._connection.transaction(change, SPECS, NEXT)
        for id_, slot in given.items():
            _log.warning("cron_slot_given", extra={"cron_id": text(id_), "slot": slot.isoformat()})

    def _mend(self, rank: int, count: int) -> int:
        """Check some next slots in their order, and return the rank after them, 0 after the last.

        A slot that is mended moves to the front, so the slots behind it keep their ranks.
        """
        mended: dict[bytes, tuple[float, datetime]] = {}

        def change(pipe: Any) -> int:
            mended.clear()
            slots = pipe.zrange(NEXT, rank, rank + count - 1, withscores=True)
            ids = [id_ for id_, _ in slots]
            specs = dict(zip(ids, pipe.hmget(SPECS, ids) if ids else [], strict=True))
            following = self._following(pipe, {id_: it for id_, it in specs.items() if it is not None})
            for id_, score in slots:
                slot = following.get(id_)
                # A slot that is due is checked when it is claimed.
                if slot is not None and score > slot.timestamp():
                    mended[id_] = score, slot
            pipe.multi()
            if mended:
                pipe.zadd(NEXT, {id_: slot.timestamp() for id_, (_, slot) in mended.items()})
            return len(slots)

        found = self._connection.transaction(change, SPECS, NEXT, value_from_callable=True)
        for id_, (score, slot) in mended.items():
            extra = {"cron_id": text(id_), "was": str(moment(score) or score), "slot": slot.isoformat()}
            _log.warning("cron_slot_mended", extra=extra)
        return rank + found if found == count else 0

    def _following(self, pipe: Any, specs: dict[bytes, bytes]) -> dict[bytes, datetime]:
        """Each entry's next slot by its schedule, where it has one; empty while the clock is not believed."""
        asked = own_seconds()
        now = server_time(pipe)
        if not specs or not self._clock.believes(now, asked=asked, answered=own_seconds()):
            return {}
        following = {}
        for (id_, spec), last in zip(specs.items(), _last_slots(pipe, list(specs)), strict=True):
            # A claimed slot stays claimed if the clock is set back by too little to count as a jump.
            after = now
            if last is not None and (last - now).total_seconds() <= TOLERANCE_SECONDS:
                after = max(now, last)
            if (slot := _next(schedule_of(loaded(spec)), after)) is not None:
                following[id_] = slot
        return following


def _last_slots(pipe: Any, ids: list[bytes]) -> list[datetime | None]:
    """Return each entry's last slot that got a job; None if unknown."""
    try:
        answer = pipe.hmget(LAST, ids)
    except ResponseError as error:
        if refusal(error):
            raise
        return [None] * len(ids)  # the key is of the wrong type
    return [_moment(it) for it in answer]


def _moment(stored: bytes | None) -> datetime | None:
    try:
        return None if stored is None else moment(float(stored))
    except ValueError:
        return None


def _next(schedule: Schedule | None, now: datetime) -> datetime | None:
    try:
        return schedule.next_after(now) if schedule else None
    except CronError:
        return None
