"""The cron entries in Redis: what there is, when each is next due, and changes to them."""

import contextlib
import contextvars
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from redis import Redis, WatchError

from scheduler.cron.entries import CronEntry, Outcome
from scheduler.cron.slots import Schedule
from scheduler.errors import CronError
from scheduler.ledger import cron as ledger

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
class Difference:
    """The ids of entries that were added, changed, removed and left as they are."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]


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
        """Write an entry; one with the same id and schedule keeps its next slot."""
        entries = _declared.get()
        if entries is None:
            self._change(lambda _stored: ([entry], []), now=datetime.now(UTC), only=entry.id)
        else:
            entries.append(replace(entry, declared=True))

    def difference(self, entries: Iterable[CronEntry]) -> Difference:
        """What `reconcile` would do."""
        return _difference(entries, self._specs())

    def reconcile(self, entries: Iterable[CronEntry], *, now: datetime) -> tuple[Difference, str]:
        """Make the stored declared entries the given ones, in one transaction.

        What is the same keeps its next slot; what the file no longer declares is removed; entries
        registered elsewhere are left alone. A slot that is due when its schedule changes is missed.

        Returns:
            What was done, and the epoch; another one in Redis later means that it was flushed.
        """
        entries = list(entries)
        wanted = {entry.id: entry for entry in entries}
        if any(wanted[entry.id].spec() != entry.spec() for entry in entries):
            raise CronError(
                "Two different entries of this program have the same id: give each its own cron_id"
            )
        found = Difference((), (), (), ())

        def changes(stored: Mapping[str, Any]) -> tuple[list[CronEntry], list[str]]:
            nonlocal found
            found = _difference(wanted.values(), stored)
            return [wanted[id_] for id_ in found.added + found.changed], list(found.removed)

        self._change(changes, now=now)
        self._connection.set(EPOCH, uuid4().hex, nx=True)
        return found, self._connection.get(EPOCH).decode()

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
        self._change(lambda stored: ([], list(stored)), now=datetime.now(UTC))

    def pause(self, entry_id: str) -> None:
        """Leave out an entry's slots until it is resumed: they are not due.

        Raises:
            CronError: There is no such entry.
        """
        self.get(entry_id)
        with self._connection.pipeline() as pipe:
            pipe.sadd(PAUSED, entry_id)
            pipe.zrem(NEXT, entry_id)
            pipe.execute()

    def resume(self, entry_id: str, *, now: datetime) -> None:
        """Let an entry's slots be due again, from the next one on.

        Raises:
            CronError: There is no such entry.
        """
        entry = self.get(entry_id)
        with self._connection.pipeline() as pipe:
            pipe.srem(PAUSED, entry_id)
            pipe.zadd(NEXT, {entry_id: next(entry.schedule.after(now)).timestamp()}, nx=True)
            pipe.execute()

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

    def _change(
        self,
        changes: Callable[[Mapping[str, Any]], tuple[list[CronEntry], list[str]]],
        *,
        now: datetime,
        only: str | None = None,
    ) -> None:
        """Write what `changes` makes of the stored specs, all or one: entries to write, ids to remove."""
        while True:
            with self._connection.pipeline() as pipe:
                try:
                    pipe.watch(SPECS, NEXT)
                    stored = self._specs(only)
                    written, removed = changes(stored)
                    paused = {id_.decode() for id_ in pipe.smembers(PAUSED)}
                    slots = dict(zip([e.id for e in written], self._slots(pipe, written), strict=True))
                    pipe.multi()
                    for entry in written:
                        self._write(
                            pipe,
                            entry,
                            stored.get(entry.id),
                            slot=slots[entry.id],
                            paused=entry.id in paused,
                            now=now,
                        )
                    self._remove(pipe, removed)
                    pipe.execute()
                except WatchError:
                    continue
                return

    def _write(
        self,
        pipe: Any,
        entry: CronEntry,
        before: Mapping[str, Any] | None,
        *,
        slot: datetime | None,
        paused: bool,
        now: datetime,
    ) -> None:
        pipe.hset(SPECS, entry.id, json.dumps(entry.spec()))
        pipe.hset(DATA, entry.id, entry.data)
        schedule = _schedule(before)
        same = schedule == entry.schedule
        if schedule is not None and not same and slot is not None and slot <= now:
            # Due, not yet claimed, and gone with the schedule that gave it.
            lost = schedule.due(slot, now)
            ledger.count_dropped_slots(
                pipe, entry.id, Outcome.MISSED, slots=list(lost.slots), total=lost.total
            )
        if not paused and not (same and slot is not None):
            pipe.zadd(NEXT, {entry.id: next(entry.schedule.after(now)).timestamp()})

    def _remove(self, pipe: Any, ids: list[str]) -> None:
        if not ids:
            return
        for key in (SPECS, DATA, LAST_JOB):
            pipe.hdel(key, *ids)
        pipe.zrem(NEXT, *ids)
        pipe.srem(PAUSED, *ids)
        ledger.forget_cron(pipe, ids)

    def _slots(self, pipe: Any, entries: list[CronEntry]) -> list[datetime | None]:
        if not entries:
            return []
        scores = pipe.zmscore(NEXT, [entry.id for entry in entries])
        return [datetime.fromtimestamp(score, UTC) if score is not None else None for score in scores]

    def _specs(self, only: str | None = None) -> dict[str, Any]:
        if only is not None:
            spec = self._connection.hget(SPECS, only)
            return {only: _loaded(spec)} if spec else {}
        return {id_.decode(): _loaded(spec) for id_, spec in self._connection.hgetall(SPECS).items()}


def _loaded(spec: bytes) -> dict[str, Any]:
    """A stored spec; nothing where it can't be read, so that it counts as changed."""
    try:
        loaded = json.loads(spec)
    except ValueError:
        loaded = None
    return loaded if isinstance(loaded, dict) else {}


def _schedule(spec: Mapping[str, Any] | None) -> Schedule | None:
    try:
        return Schedule(**spec["schedule"]) if spec else None
    except (TypeError, KeyError, CronError):
        return None


def _difference(entries: Iterable[CronEntry], stored: Mapping[str, Any]) -> Difference:
    wanted = {entry.id: entry.spec() for entry in entries}
    return Difference(
        added=tuple(id_ for id_ in wanted if id_ not in stored),
        changed=tuple(id_ for id_, spec in wanted.items() if stored.get(id_, spec) != spec),
        removed=tuple(id_ for id_, spec in stored.items() if spec.get("declared") and id_ not in wanted),
        unchanged=tuple(id_ for id_, spec in wanted.items() if stored.get(id_) == spec),
    )
