"""All stored cron entries, as far as they can be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis.exceptions import ResponseError

from scheduler.cron.clock import from_answer
from scheduler.cron.entries import CronEntry
from scheduler.cron.store.keys import DATA, NEXT, PAUSED, SPECS
from scheduler.cron.store.stored import moment, text
from scheduler.errors import CronError


@dataclass(frozen=True, slots=True)
class EntryState:
    """An entry and its state; a paused one has no next slot."""

    entry: CronEntry
    next_slot: datetime | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """The stored entries, why each unreadable one can't be read, and the server's time."""

    states: tuple[EntryState, ...]
    unreadable: Mapping[str, str]
    now: datetime


def listing(connection: Any) -> Listing:
    """Read every entry, unreadable ones too, in one round trip."""
    with connection.pipeline() as pipe:
        pipe.hgetall(SPECS)
        pipe.hgetall(DATA)
        pipe.zrange(NEXT, 0, -1, withscores=True)
        pipe.smembers(PAUSED)
        pipe.time()
        *answers, time = pipe.execute(raise_on_error=False)
    states, unreadable = [], {}
    for number, key in enumerate((SPECS, DATA, NEXT, PAUSED)):
        if isinstance(answers[number], ResponseError):
            unreadable[key] = f"The key {key} can't be read ({answers[number]}): delete it"
            answers[number] = ()
    specs, data, slots, paused = answers
    specs, data, due = dict(specs), dict(data), dict(slots)
    for id_ in sorted({*specs, *data, *due}):
        try:
            entry = CronEntry.from_stored(text(id_), specs.get(id_), data.get(id_))
            if id_ in due and moment(due[id_]) is None:
                raise CronError(f"The next slot of cron entry {text(id_)!r} is not a time: {due[id_]}")
        except CronError as error:
            unreadable[text(id_)] = str(error)
        else:
            slot = moment(due[id_]) if id_ in due else None
            states.append(EntryState(entry, slot, paused=slot is None and id_ in paused))
    return Listing(tuple(states), unreadable, from_answer(time))
