"""Keeping what is stored whole: slots that a schedule does not have, and keys that were lost."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from scheduler.cron.keys import DATA, NEXT, PAUSED, SPECS
from scheduler.cron.slots import Schedule
from scheduler.cron.stored import loaded, moment, schedule_of, text
from scheduler.errors import CronError

# So few at a time that ten thousand entries cost an idle process nothing to speak of.
_AT_A_TIME = 10
_BATCH = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many entries each key holds."""

    specs: int
    data: int
    slots: int
    paused: int

    @property
    def is_whole(self) -> bool:
        """Whether every entry has its arguments, and a next slot unless it is paused."""
        return self.specs == self.data == self.slots + self.paused


class Upkeep:
    """Looks after what is stored, and mends what can be mended."""

    def __init__(self, connection: Redis) -> None:
        self._connection: Any = connection
        self._rank = 0

    def sizes(self) -> Sizes:
        """How many entries each key holds, at one moment."""
        with self._connection.pipeline() as pipe:
            pipe.hlen(SPECS)
            pipe.hlen(DATA)
            pipe.zcard(NEXT)
            pipe.scard(PAUSED)
            return Sizes(*pipe.execute())

    def mend_some_slots(self, *, now: datetime) -> None:
        """Look at a few next slots, each call at those after the last; repeated calls look at all of them."""
        self._rank = self._mend(self._rank, _AT_A_TIME, now=now)

    def mend_all_slots(self, *, now: datetime) -> None:
        """Look at all next slots."""
        rank = self._mend(0, _BATCH, now=now)
        while rank:
            rank = self._mend(rank, _BATCH, now=now)

    def give_slots(self, *, now: datetime) -> None:
        """Give a next slot to every entry that should have one and has none."""
        given: dict[bytes, datetime] = {}

        def change(pipe: Any) -> None:
            given.clear()
            known = {*pipe.zrange(NEXT, 0, -1), *pipe.smembers(PAUSED)}
            for id_, spec in pipe.hgetall(SPECS).items():
                if id_ not in known and (slot := _next(schedule_of(loaded(spec)), now)) is not None:
                    given[id_] = slot
            pipe.multi()
            if given:
                pipe.zadd(NEXT, {id_: slot.timestamp() for id_, slot in given.items()})

        self._connection.transaction(change, SPECS, NEXT)
        for id_, slot in given.items():
            _log.warning("cron_slot_given", extra={"cron_id": text(id_), "slot": slot.isoformat()})

    def _mend(self, rank: int, count: int, *, now: datetime) -> int:
        """Check some next slots in their order; the rank after them, 0 after the last.

        A slot that is mended moves to the front, so those behind keep their ranks.
        """
        mended: dict[bytes, tuple[float, datetime]] = {}

        def change(pipe: Any) -> int:
            mended.clear()
            slots = pipe.zrange(NEXT, rank, rank + count - 1, withscores=True)
            specs = pipe.hmget(SPECS, [id_ for id_, _ in slots]) if slots else []
            for (id_, score), spec in zip(slots, specs, strict=True):
                slot = _next(schedule_of(loaded(spec)), now) if spec is not None else None
                # One that is due is checked when it is claimed.
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


def _next(schedule: Schedule | None, now: datetime) -> datetime | None:
    try:
        return schedule.next_after(now) if schedule else None
    except CronError:
        return None
