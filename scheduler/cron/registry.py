"""The cron entries in Redis: what there is, when each is next due, and changes to them."""

import contextlib
import contextvars
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from redis import Redis

from scheduler.cron.entries import CronEntry, Outcome
from scheduler.cron.stored import Difference, Stored, by_id, difference, loaded
from scheduler.errors import CronError
from scheduler.ledger import cron as ledger
from scheduler.server_version import zmscore

SPECS = "rqmon:cron:specs"  # hash: id -> JSON
DATA = "rqmon:cron:data"  # hash: id -> a job's data, as RQ serializes it
NEXT = "rqmon:cron:next"  # sorted set: id by its next slot in Unix seconds; not those that are paused
PAUSED = "rqmon:cron:paused"  # set of ids
LAST_JOB = "rqmon:cron:last-job"  # hash: id -> id of the job of its last slot
EPOCH = "rqmon:cron:epoch"  # gone after a flush: then every process writes its entries again

_log = logging.getLogger(__name__)
_declared: contextvars.ContextVar[list[CronEntry] | None] = contextvars.ContextVar("declared", default=None)


@contextlib.contextmanager
def declaring() -> Iterator[list[CronEntry]]:
    """Collect the entries registered inside instead of writing each one, for `reconcile`."""
    entries: list[CronEntry] = []
    token = _declared.set(entries)
    try:
        yield entries
    finally:
        _declared.reset(token)


@dataclass(frozen=True, slots=True)
class EntryState:
    """An entry and where it stands; a paused one has no next slot."""

    entry: CronEntry
    next_slot: datetime | None
    paused: bool


class CronRegistry:
    """The durable list of cron entries and of their next slots."""

    def __init__(self, connection: Redis) -> None:
        self._connection: Any = connection  # redis-py types every answer as an awaitable too

    def register(self, entry: CronEntry) -> None:
        """Write an entry; the same one stays as it is, one with the same schedule keeps its next slot."""
        entries = _declared.get()
        if entries is not None:
            entries.append(replace(entry, declared=True))
            return

        def change(pipe: Any) -> None:
            stored = self._stored(pipe, [entry.id]).get(entry.id)
            # Whose entry it is does not change when another program registers it too.
            wanted = replace(entry, declared=bool(stored and stored.spec.get("declared")))
            pipe.multi()
            if stored is None or not stored.same(wanted):
                self._write(pipe, wanted, stored, now=datetime.now(UTC))

        self._connection.transaction(change, SPECS, NEXT)

    def difference(self, entries: Iterable[CronEntry]) -> Difference:
        """What `reconcile` would do.

        Raises:
            CronError: Two different entries have the same id.
        """
        return difference(by_id(entries), self._stored(self._connection))

    def reconcile(self, entries: Iterable[CronEntry], *, now: datetime) -> tuple[Difference, str]:
        """Make the stored declared entries the given ones, in one transaction.

        What is the same keeps its next slot; what the file no longer declares is removed; entries
        registered elsewhere are left alone. A slot that is due when its schedule changes is missed.

        Returns:
            What was done, and the epoch; another one in Redis later means that it was flushed.

        Raises:
            CronError: Two different entries have the same id; nothing was changed.
        """
        wanted = by_id(entries)
        found = Difference((), (), (), ())

        def change(pipe: Any) -> None:
            nonlocal found
            stored = self._stored(pipe)
            found = difference(wanted, stored)
            pipe.multi()
            for id_ in found.added + found.changed:
                self._write(pipe, wanted[id_], stored.get(id_), now=now)
            self._remove(pipe, list(found.removed))
            pipe.set(EPOCH, uuid4().hex, nx=True)
            pipe.get(EPOCH)

        epoch = self._connection.transaction(change, SPECS, NEXT)[-1]
        return found, epoch.decode()

    def entries(self) -> list[CronEntry]:
        """Every entry, by id."""
        return [state.entry for state in self.states()]

    def states(self) -> list[EntryState]:
        """Every entry that can be read and where it stands, by id, in one round trip."""
        with self._connection.pipeline() as pipe:
            pipe.hgetall(SPECS)
            pipe.hgetall(DATA)
            pipe.zrange(NEXT, 0, -1, withscores=True)
            pipe.smembers(PAUSED)
            specs, data, slots, paused = pipe.execute()
        due = {id_: datetime.fromtimestamp(score, UTC) for id_, score in slots}
        states = []
        for id_ in sorted(specs):
            try:
                entry = CronEntry.from_stored(id_.decode(), specs[id_], data.get(id_))
            except CronError as error:
                _log.warning("cron_entry_unreadable", extra={"cron_id": id_.decode(), "error": str(error)})
            else:
                states.append(EntryState(entry, due.get(id_), id_ in paused))
        return states

    def count(self) -> int:
        """How many entries there are."""
        return int(self._connection.hlen(SPECS))

    def cancel_all(self) -> None:
        """Remove every entry, declared or not, and its records."""

        def change(pipe: Any) -> None:
            ids = [id_.decode() for id_ in pipe.hkeys(SPECS)]
            pipe.multi()
            self._remove(pipe, ids)

        self._connection.transaction(change, SPECS)

    def remove(self, entry_id: str) -> None:
        """Remove one entry and its records; the process whose file declares it writes it again at its start.

        Raises:
            CronError: There is no such entry.
        """

        def change(pipe: Any) -> None:
            if not pipe.hexists(SPECS, entry_id):
                raise _no_entry(entry_id)
            pipe.multi()
            self._remove(pipe, [entry_id])

        self._connection.transaction(change, SPECS)

    def pause(self, entry_id: str) -> None:
        """Leave out an entry's slots until it is resumed: they are not due. One that is due now is missed.

        Raises:
            CronError: There is no such entry.
        """

        def change(pipe: Any) -> None:
            stored = self._stored(pipe, [entry_id]).get(entry_id)
            if stored is None:
                raise _no_entry(entry_id)
            pipe.multi()
            self._miss(pipe, entry_id, stored, now=datetime.now(UTC))
            pipe.sadd(PAUSED, entry_id)
            pipe.zrem(NEXT, entry_id)

        self._connection.transaction(change, SPECS, NEXT)

    def resume(self, entry_id: str, *, now: datetime) -> None:
        """Let an entry's slots be due again, from the next one on.

        Raises:
            CronError: There is no such entry.
        """

        def change(pipe: Any) -> None:
            entry = CronEntry.from_stored(entry_id, pipe.hget(SPECS, entry_id), pipe.hget(DATA, entry_id))
            pipe.multi()
            pipe.srem(PAUSED, entry_id)
            pipe.zadd(NEXT, {entry_id: next(entry.schedule.after(now)).timestamp()}, nx=True)

        self._connection.transaction(change, SPECS, NEXT)

    def get(self, entry_id: str) -> CronEntry:
        """The entry of that id.

        Raises:
            CronError: There is none.
        """
        with self._connection.pipeline() as pipe:
            pipe.hget(SPECS, entry_id)
            pipe.hget(DATA, entry_id)
            spec, data = pipe.execute()
        return CronEntry.from_stored(entry_id, spec, data)

    def _write(self, pipe: Any, entry: CronEntry, before: Stored | None, *, now: datetime) -> None:
        pipe.hset(SPECS, entry.id, json.dumps(entry.spec()))
        pipe.hset(DATA, entry.id, entry.data)
        same = before is not None and before.slot is not None and before.schedule == entry.schedule
        if before is not None and not same:
            self._miss(pipe, entry.id, before, now=now)
        if not same and not (before and before.paused):
            pipe.zadd(NEXT, {entry.id: next(entry.schedule.after(now)).timestamp()})

    def _miss(self, pipe: Any, entry_id: str, stored: Stored, *, now: datetime) -> None:
        """Count the slots that are due, not yet claimed, and gone."""
        schedule = stored.schedule
        if schedule is not None and stored.slot is not None and stored.slot <= now:
            lost = schedule.due(stored.slot, now)
            ledger.count_dropped_slots(
                pipe, entry_id, Outcome.MISSED, slots=list(lost.slots), total=lost.total
            )

    def _remove(self, pipe: Any, ids: list[str]) -> None:
        if not ids:
            return
        for key in (SPECS, DATA, LAST_JOB):
            pipe.hdel(key, *ids)
        pipe.zrem(NEXT, *ids)
        pipe.srem(PAUSED, *ids)
        ledger.forget_cron(pipe, ids)

    def _stored(self, connection: Any, ids: list[str] | None = None) -> dict[str, Stored]:
        """What is stored of some entries, by default of all."""
        if ids is None:
            ids = [id_.decode() for id_ in connection.hkeys(SPECS)]
        if not ids:
            return {}
        specs, scores = connection.hmget(SPECS, ids), zmscore(connection, NEXT, ids)
        data = {id_.decode() for id_ in connection.hkeys(DATA)}
        paused = {id_.decode() for id_ in connection.smembers(PAUSED)}
        return {
            id_: Stored(
                spec=loaded(spec),
                slot=None if score is None else datetime.fromtimestamp(score, UTC),
                paused=id_ in paused,
                whole=id_ in data and (score is not None or id_ in paused),
            )
            for id_, spec, score in zip(ids, specs, scores, strict=True)
            if spec is not None
        }


def _no_entry(entry_id: str) -> CronError:
    return CronError(f"There is no cron entry {entry_id!r}: rqmon cron list shows those there are")
