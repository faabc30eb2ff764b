"""The cron entries in Redis: which exist, when each is next due, and changes to them."""

import contextlib
import contextvars
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from redis import Redis

from scheduler.config import Settings
from scheduler.connections.server_version import zmscore
from scheduler.cron.clock import server_time
from scheduler.cron.entries import CronEntry, Outcome
from scheduler.cron.slot_jobs import SlotJobs
from scheduler.cron.store.keys import DATA as DATA
from scheduler.cron.store.keys import EMPTIED as EMPTIED
from scheduler.cron.store.keys import EPOCH as EPOCH
from scheduler.cron.store.keys import LAST_JOB
from scheduler.cron.store.keys import NEXT as NEXT
from scheduler.cron.store.keys import PAUSED as PAUSED
from scheduler.cron.store.keys import SPECS as SPECS
from scheduler.cron.store.listing import EntryState, Listing, listing
from scheduler.cron.store.stored import (
    Difference,
    Stored,
    by_id,
    difference,
    loaded,
    moment,
    no_entry,
    raw,
    text,
)
from scheduler.ledger import cron as ledger

_log = logging.getLogger(__name__)
_declared: contextvars.ContextVar[list[CronEntry] | None] = contextvars.ContextVar("declared", default=None)


@contextlib.contextmanager
def declaring() -> Iterator[list[CronEntry]]:
    """Collect the entries registered inside, for `reconcile`, instead of writing each one."""
    entries: list[CronEntry] = []
    token = _declared.set(entries)
    try:
        yield entries
    finally:
        _declared.reset(token)


def is_declaring() -> bool:
    """Whether a cron process is asking its file for its entries."""
    return _declared.get() is not None


class CronRegistry:
    """The durable list of cron entries and of their next slots; every time is the server's."""

    def __init__(self, connection: Redis, *, settings: Settings | None = None) -> None:
        self._connection: Any = connection  # redis-py types every answer as an awaitable too
        self._jobs = SlotJobs(connection, settings=settings)

    def register(self, entry: CronEntry) -> None:
        """Write an entry; an equal one stays as it is, one with the same schedule keeps its next slot.

        Raises:
            CronError: RQ can't make a job from it; nothing was changed.
        """
        self._jobs.check(entry)
        entries = _declared.get()
        if entries is not None:
            entries.append(replace(entry, declared=True))
            return

        def change(pipe: Any) -> None:
            stored = self._stored(pipe, [raw(entry.id)]).get(entry.id)
            # The owner of an entry does not change when another program registers it too.
            wanted = replace(entry, declared=bool(stored and stored.spec.get("declared")))
            now = server_time(pipe)
            pipe.multi()
            if stored is None or not stored.same(wanted):
                self._write(pipe, wanted, stored, now=now)

        self._connection.transaction(change, SPECS, NEXT)

    def difference(self, entries: Iterable[CronEntry]) -> Difference:
        """Return what `reconcile` would do.

        Raises:
            CronError: Two different entries have the same id.
        """
        return difference(by_id(entries), self._stored(self._connection))

    def reconcile(
        self, entries: Iterable[CronEntry], *, now: datetime | None = None
    ) -> tuple[Difference, str]:
        """Replace the stored declared entries with the given ones, in one transaction.

        Unchanged entries keep their next slot; those the file no longer declares are removed; entries
        registered elsewhere are left alone. A slot that is due when its schedule changes is missed.

        Args:
            entries: The declared entries.
            now: The time; by default the server's.

        Returns:
            What was done, and the epoch. If Redis has another epoch later, it was flushed.

        Raises:
            CronError: Two different entries have the same id; nothing was changed.
        """
        wanted = by_id(entries)
        found = Difference((), (), (), ())

        def change(pipe: Any) -> None:
            nonlocal found
            stored = self._stored(pipe)
            found = difference(wanted, stored)
            is_kept = pipe.type(EPOCH) == b"string" and not pipe.get(EPOCH).startswith(EMPTIED.encode())
            at = now or server_time(pipe)
            pipe.multi()
            for id_ in found.added + found.changed:
                self._write(pipe, wanted[id_], stored.get(id_), now=at)
            self._remove(pipe, [raw(id_) for id_ in found.removed])
            pipe.set(EPOCH, uuid4().hex, nx=is_kept)
            pipe.get(EPOCH)

        epoch = self._connection.transaction(change, SPECS, NEXT)[-1]
        return found, text(epoch)

    def entries(self) -> list[CronEntry]:
        """Every entry, by id."""
        return [state.entry for state in self.states()]

    def states(self) -> list[EntryState]:
        """Every readable entry and its state, by id, in one round trip."""
        listing = self.listing()
        for id_, reason in listing.unreadable.items():
            _log.warning("cron_entry_unreadable", extra={"cron_id": id_, "error": reason})
        return list(listing.states)

    def listing(self) -> Listing:
        """Every entry, unreadable ones too, in one round trip."""
        return listing(self._connection)

    def count(self) -> int:
        """How many entries there are."""
        return int(self._connection.hlen(SPECS))

    def cancel_all(self) -> None:
        """Remove every entry, declared or not, and its records."""

        def change(pipe: Any) -> None:
            ids = {*pipe.hkeys(SPECS), *pipe.hkeys(DATA), *pipe.zrange(NEXT, 0, -1)}
            pipe.multi()
            self._remove(pipe, list(ids))
            pipe.set(EPOCH, EMPTIED + uuid4().hex)

        self._connection.transaction(change, SPECS)

    def remove(self, entry_id: str) -> None:
        """Remove one entry and its records. A process whose file declares it writes it again when it starts.

        Raises:
            CronError: There is no such entry.
        """

        def change(pipe: Any) -> None:
            id_ = raw(entry_id)
            has_spec = pipe.hexists(SPECS, id_)
            if not (has_spec or pipe.hexists(DATA, id_) or pipe.zscore(NEXT, id_) is not None):
                raise no_entry(entry_id)
            is_last = has_spec and pipe.hlen(SPECS) == 1
            pipe.multi()
            self._remove(pipe, [id_])
            if is_last:
                pipe.set(EPOCH, EMPTIED + uuid4().hex)

        self._connection.transaction(change, SPECS)

    def pause(self, entry_id: str) -> None:
        """Leave out an entry's slots until it is resumed: they never become due. One due now is missed.

        Raises:
            CronError: There is no such entry.
        """

        def change(pipe: Any) -> None:
            id_ = raw(entry_id)
            stored = self._stored(pipe, [id_]).get(entry_id)
            if stored is None:
                raise no_entry(entry_id)
            now = server_time(pipe)
            pipe.multi()
            self._miss(pipe, id_, stored, now=now)
            pipe.sadd(PAUSED, id_)
            pipe.zrem(NEXT, id_)

        self._connection.transaction(change, SPECS, NEXT)

    def resume(self, entry_id: str, *, now: datetime | None = None) -> None:
        """Make an entry's slots due again, from the next one after `now`, by default the server's time.

        Raises:
            CronError: There is no such entry.
        """

        def change(pipe: Any) -> None:
            id_ = raw(entry_id)
            entry = CronEntry.from_stored(entry_id, pipe.hget(SPECS, id_), pipe.hget(DATA, id_))
            at = now or server_time(pipe)
            pipe.multi()
            pipe.srem(PAUSED, id_)
            pipe.zadd(NEXT, {id_: entry.schedule.next_after(at).timestamp()}, nx=True)

        self._connection.transaction(change, SPECS, NEXT)

    def get(self, entry_id: str) -> CronEntry:
        """Return the entry with that id.

        Raises:
            CronError: There is none.
        """
        with self._connection.pipeline() as pipe:
            pipe.hget(SPECS, raw(entry_id))
            pipe.hget(DATA, raw(entry_id))
            spec, data = pipe.execute()
        return CronEntry.from_stored(entry_id, spec, data)

    def _write(self, pipe: Any, entry: CronEntry, before: Stored | None, *, now: datetime) -> None:
        pipe.hset(SPECS, entry.id, json.dumps(entry.spec()))
        pipe.hset(DATA, entry.id, entry.data)
        # An entry whose spec was lost keeps its next slot too: a due one is claimed, none is forgotten.
        same = (
            before is not None
            and before.slot is not None
            and (not before.spec or before.schedule == entry.schedule)
        )
        if before is not None and not same:
            self._miss(pipe, raw(entry.id), before, now=now)
        if not same and not (before and before.paused):
            pipe.zadd(NEXT, {entry.id: entry.schedule.next_after(now).timestamp()})

    def _miss(self, pipe: Any, id_: bytes, stored: Stored, *, now: datetime) -> None:
        """Count as missed the slots that are due but not claimed, of an entry that loses them."""
        schedule = stored.schedule
        if schedule is not None and stored.slot is not None and stored.slot <= now:
            lost = schedule.due(stored.slot, now)
            ledger.count_dropped_slots(pipe, id_, Outcome.MISSED, slots=list(lost.slots), total=lost.total)

    def _remove(self, pipe: Any, ids: list[bytes]) -> None:
        if not ids:
            return
        for key in (SPECS, DATA, LAST_JOB):
            pipe.hdel(key, *ids)
        pipe.zrem(NEXT, *ids)
        pipe.srem(PAUSED, *ids)
        ledger.forget_cron(pipe, ids)

    def _stored(self, connection: Any, ids: list[bytes] | None = None) -> dict[str, Stored]:
        """Read some stored entries, by default all; of one whose spec was lost, the rest."""
        paused = connection.smembers(PAUSED)
        if ids is None:
            ids = list({*connection.hkeys(SPECS), *connection.zrange(NEXT, 0, -1), *paused})
        if not ids:
            return {}
        specs, scores = connection.hmget(SPECS, ids), zmscore(connection, NEXT, ids)
        data = set(connection.hkeys(DATA))
        return {
            text(id_): Stored(
                spec={} if spec is None else loaded(spec),
                slot=None if score is None else moment(score),
                paused=id_ in paused,
                whole=id_ in data and (score is not None or id_ in paused),
            )
            for id_, spec, score in zip(ids, specs, scores, strict=True)
            if spec is not None or score is not None or id_ in paused
        }
