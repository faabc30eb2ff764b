"""Claiming: in one transaction each due slot gets its one job, or is counted as dropped."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from redis import Redis, WatchError
from redis.exceptions import NoPermissionError
from rq import Queue
from rq.job import Job

from scheduler.config import Settings, current
from scheduler.cron.clock import ServerClock, from_answer, own_seconds
from scheduler.cron.earlier_jobs import EarlierJobs
from scheduler.cron.entries import CronEntry, Outcome
from scheduler.cron.slot_jobs import SlotJobs
from scheduler.cron.slots import TEN_YEARS_IN_SECONDS, Due
from scheduler.cron.store.keys import DATA, EPOCH, LAST_JOB, NEXT, SPECS
from scheduler.cron.store.stored import moment, raw, text
from scheduler.errors import CronError
from scheduler.ledger import cron as ledger

_BATCH = 500
# Slots are listed one by one from the stored one on; no real entry has a slot older than this.
_LONGEST_AWAY = timedelta(seconds=TEN_YEARS_IN_SECONDS)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What a tick sees in one round trip.

    Attributes:
        now: The server's time.
        first: The first slot of any entry that this process can queue; None if there is none.
        epoch: If it differs from the one before, Redis was flushed.
        is_believed: Whether the server's clock can be believed; while it can't, nothing is claimed.
    """

    now: datetime
    first: datetime | None
    epoch: str | None
    is_believed: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot whose job was queued, and how late, by the server's clock; None if that was not counted."""

    entry_id: str
    slot: datetime
    job_id: str
    lateness_seconds: float | None


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one transaction will do: jobs with their slots, dropped slots, next slots by entry id."""

    queued: list[tuple[ledger.QueuedSlot, Job]] = field(default_factory=list)
    missed: list[tuple[str, list[datetime], int]] = field(default_factory=list)
    skipped: list[tuple[str, list[datetime]]] = field(default_factory=list)
    following: dict[str, float] = field(default_factory=dict)


class Claimer:
    """Queues the jobs of due slots; any number of others may do the same at once.

    Attributes:
        clock: Tells whether the server's clock can be believed.
        passed_over: Why it can't queue an entry that is due, by id. The entry is left as it is: another
            process may know its time zone, or read what a newer version wrote.
        waiting: The ids of entries to check again soon, because it is not yet known whether their earlier job
            is still to be done.
    """

    def __init__(self, connection: Redis, *, settings: Settings | None = None) -> None:
        settings = settings or current()
        self.clock = ServerClock()
        self.passed_over: dict[bytes, str] = {}
        self.waiting: frozenset[bytes] = frozenset()
        self._connection: Any = connection  # redis-py types every answer as an awaitable too
        self._jobs = SlotJobs(connection, settings=settings)
        self._earlier = EarlierJobs(connection)
        self._bounds = settings.job_buckets_seconds

    def look(self) -> Look:
        """Look whether anything is due; an idle process asks nothing else."""
        asked = own_seconds()
        with self._connection.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(NEXT, 0, len(self.passed_over) + len(self.waiting), withscores=True)
            pipe.get(EPOCH)
            time, slots, epoch = pipe.execute(raise_on_error=False)
        for answer in (time, slots):
            if isinstance(answer, Exception):
                raise answer
        now = from_answer(time)
        is_believed = self.clock.believes(now, asked=asked, answered=own_seconds())
        scores = (s for id_, s in slots if id_ not in self.passed_over and id_ not in self.waiting)
        score = next(scores, None)
        # A score that is not a time is due if it is below all times: the claim mends it.
        first = None if score is None else now if score < 0 else moment(score)
        # An epoch that is not text counts as lost: reconciling writes a new one.
        return Look(now, first, text(epoch) if isinstance(epoch, bytes) else None, is_believed)

    def claim(self, *, now: datetime | None = None, clock: datetime | None = None) -> list[Claim] | None:
        """Deal with a batch of entries that are due.

        Their jobs, next slots and counts are written in one transaction. It fails when another process was
        faster or an entry was changed, so a slot gives exactly one job, however many processes run and
        whatever is killed when. An entry that can't be queued is passed over.

        Args:
            now: The time by which entries are due; by default the server's.
            clock: The time lateness is measured at; by default the server's when it runs the transaction.

        Returns:
            The slots that got a job; None when nothing was due. Call again until it is None.
        """
        with self._connection.pipeline() as pipe:
            try:
                pipe.watch(NEXT, SPECS)
                if now is None:
                    asked = own_seconds()
                    now = from_answer(pipe.time())
                    if not self.clock.believes(now, asked=asked, answered=own_seconds()):
                        return None
                most = _BATCH + len(self.passed_over) + len(self.waiting)
                due = dict(
                    pipe.zrangebyscore(NEXT, "-inf", now.timestamp(), start=0, num=most, withscores=True)
                )
                entries = self._entries(pipe, list(due))
                earlier = self._earlier.ask(id_ for id_, it in entries.items() if it.overlap == "skip")
                self.waiting = earlier.unsure
                batch = _Batch()
                for id_, entry in entries.items():
                    if id_ not in earlier.unsure:
                        self._decide(batch, entry, due[id_], now=now, busy=id_ in earlier.busy)
                if not batch.following:
                    # If none of this batch can be queued, there may be others behind it.
                    return [] if len(due) == most else None
                pipe.multi()
                position = self._write(pipe, batch, clock=clock)
                answers = pipe.execute(raise_on_error=False)
            except WatchError:
                return []
        return _claims(batch, answers, position)

    def _entries(self, pipe: Any, ids: list[bytes]) -> dict[bytes, CronEntry]:
        """Return the entries that can be queued; the others are passed over, and logged once."""
        entries: dict[bytes, CronEntry] = {}
        passed_over: dict[bytes, str] = {}
        if ids:
            for id_, spec, data in zip(ids, pipe.hmget(SPECS, ids), pipe.hmget(DATA, ids), strict=True):
                try:
                    entries[id_] = CronEntry.from_stored(text(id_), spec, data)
                except CronError as error:
                    passed_over[id_] = str(error)
        for name, reason in self._wrong_queues({entry.queue_name for entry in entries.values()}).items():
            passed_over |= {id_: reason for id_, entry in entries.items() if entry.queue_name == name}
        for id_, reason in passed_over.items():
            entries.pop(id_, None)
            if self.passed_over.get(id_) != reason:
                _log.error("cron_entry_unreadable", extra={"cron_id": text(id_), "error": reason})
        self.passed_over = passed_over
        return entries

    def _wrong_queues(self, names: set[str]) -> dict[str, str]:
        """Say why nothing can be put into some queues: a transaction that finds out would lose the slot."""
        keys = {name: self._jobs.queue(name).key for name in names}
        with self._connection.pipeline(transaction=False) as pipe:
            for key in keys.values():
                pipe.type(key)
            pipe.type(Queue.redis_queues_keys)
            *types, of_all = pipe.execute(raise_on_error=False)
        if isinstance(of_all, Exception):
            raise of_all
        if of_all not in (b"set", b"none"):
            return dict.fromkeys(names, f"The key {Queue.redis_queues_keys} is not a set: delete it")
        wrong = {}
        for (name, key), found in zip(keys.items(), types, strict=True):
            if isinstance(found, NoPermissionError):  # for this key; for the command the user has the right
                wrong[name] = (
                    f"The user of RQ_REDIS_URL has no right to the key {key}: see docs/reference/redis.md"
                )
            elif isinstance(found, Exception):
                raise found
            elif found not in (b"list", b"none"):
                wrong[name] = f"The key {key} is not a queue: delete it"
        return wrong

    def _decide(self, batch: _Batch, entry: CronEntry, score: float, *, now: datetime, busy: bool) -> None:
        """Add the fate of an entry's slots to a batch."""
        first = moment(score)
        try:
            if first is None or now - first > _LONGEST_AWAY:
                slots = Due((), 0, entry.schedule.next_after(now), first_is_slot=False)
            else:
                slots = entry.schedule.due(first, now)
            chosen, dropped = entry.outcomes(slots, now=now, busy=busy)
            jobs = [(slot, self._jobs.make(entry, slot)) for slot in chosen]
        except CronError as error:
            self.passed_over[raw(entry.id)] = str(error)
            return
        if not slots.first_is_slot:  # written by hand, or by a wrong clock
            _log.warning("cron_slot_mended", extra={"cron_id": entry.id, "was": score})
        batch.following[entry.id] = slots.following.timestamp()
        missed = dropped[Outcome.MISSED]
        batch.missed.append((entry.id, missed, len(missed) + slots.total - len(slots.slots)))
        batch.skipped.append((entry.id, dropped[Outcome.SKIPPED]))
        for slot, job in jobs:
            batch.queued.append((ledger.QueuedSlot(entry.id, slot, entry.late_after_seconds, job.id), job))

    def _write(self, pipe: Any, batch: _Batch, *, clock: datetime | None) -> int:
        """Put a batch into a transaction; return the position of the count's answer."""
        for id_, slots, total in batch.missed:
            ledger.count_dropped_slots(pipe, raw(id_), Outcome.MISSED, slots=slots, total=total)
        for _, job in batch.queued:
            self._jobs.enqueue(pipe, job)
        pipe.zadd(NEXT, batch.following)
        slots_queued = [slot for slot, _ in batch.queued]
        if slots_queued:
            pipe.hset(LAST_JOB, mapping={slot.entry_id: slot.job_id for slot in slots_queued})
            ledger.count_queued_slots(pipe, slots_queued, now=clock, bounds=self._bounds)
        position = len(pipe) - 1
        # After the queued slots, which come before them.
        for id_, slots in batch.skipped:
            ledger.count_dropped_slots(pipe, raw(id_), Outcome.SKIPPED, slots=slots, total=len(slots))
        return position


def _claims(batch: _Batch, answers: list[Any], position: int) -> list[Claim]:
    """Return what the transaction did. Failed counts are only logged: the jobs are queued all the same."""
    lateness: list[Any] = [None] * len(batch.queued)
    failed = [str(answer) for answer in answers if isinstance(answer, Exception)]
    if batch.queued and not isinstance(answers[position], Exception):
        lateness, errors = answers[position]
        failed += [error.decode(errors="replace") for error in errors]
    if failed:
        _log.error("cron_counts_failed", extra={"errors": sorted(set(failed))[:10]})
    return [
        Claim(slot.entry_id, slot.slot, slot.job_id, None if behind is None else float(behind))
        for (slot, _), behind in zip(batch.queued, lateness, strict=True)
    ]
