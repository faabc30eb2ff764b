"""The cron entries in Redis: the only writer and reader of the keys under `rqmon:cron:`."""

import contextlib
import contextvars
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from redis import Redis, WatchError
from redis.client import Pipeline
from rq import Queue, Retry
from rq.serializers import DefaultSerializer

from scheduler.cron.entries import CronEntry, next_slot
from scheduler.logs import CORRELATION_ID, current_correlation_id

_SPECS = "rqmon:cron:specs"  # hash: id -> JSON
_ARGUMENTS = "rqmon:cron:arguments"  # hash: id -> serialized (args, kwargs)
_NEXT = "rqmon:cron:next"  # sorted set: id by its next slot, in seconds since the epoch
_BATCH = 100

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
class Reconciled:
    """The ids that a reconciliation added, changed, removed and left as they were."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot whose job was enqueued."""

    entry_id: str
    slot: datetime
    job_id: str
    lateness_seconds: float


class CronRegistry:
    """The durable list of cron entries and of their next slots."""

    def __init__(self, connection: Redis) -> None:
        self._connection: Any = connection  # redis-py types every answer as an awaitable too
        self._queues: dict[str, Queue] = {}

    def register(self, entry: CronEntry) -> None:
        """Write an entry; one with the same id and cron keeps its next slot."""
        entries = _declared.get()
        if entries is not None:
            entries.append(replace(entry, declared=True))
            return
        stored = self._connection.hget(_SPECS, entry.id)
        with self._connection.pipeline() as pipe:
            self._write(pipe, entry, json.loads(stored) if stored else None, now=datetime.now(UTC))
            pipe.execute()

    def reconcile(self, entries: Iterable[CronEntry], *, now: datetime) -> Reconciled:
        """Make the stored declared entries the given ones, in one transaction.

        What is the same keeps its next slot; what the file no longer declares is removed; entries
        registered elsewhere are left alone.
        """
        wanted = {entry.id: entry for entry in entries}
        added: list[str] = []
        changed: list[str] = []
        unchanged: list[str] = []
        stored = self._specs()
        removed = [id_ for id_, spec in stored.items() if spec["declared"] and id_ not in wanted]
        with self._connection.pipeline() as pipe:
            for entry in wanted.values():
                before = stored.get(entry.id)
                if before is None:
                    added.append(entry.id)
                else:
                    (unchanged if before == entry.spec() else changed).append(entry.id)
                self._write(pipe, entry, before, now=now)
            self._remove(pipe, removed)
            pipe.execute()
        return Reconciled(tuple(added), tuple(changed), tuple(removed), tuple(unchanged))

    def entries(self) -> list[CronEntry]:
        """Every entry, by id."""
        specs = self._specs()
        return [
            self._load(specs[id_], arguments) for id_, arguments in self._arguments(sorted(specs)).items()
        ]

    def count(self) -> int:
        """How many entries there are."""
        return int(self._connection.hlen(_SPECS))

    def cancel_all(self) -> None:
        """Remove every entry, declared or not."""
        self._connection.delete(_SPECS, _ARGUMENTS, _NEXT)

    def next_due(self) -> datetime | None:
        """When the next slot of any entry is; None when there is no entry."""
        first = self._connection.zrange(_NEXT, 0, 0, withscores=True)
        return datetime.fromtimestamp(first[0][1], UTC) if first else None

    def claim_due(self, *, now: datetime) -> list[Claim]:
        """Enqueue the job of each entry whose next slot has come: of several missed slots, one job.

        The job and the next slot are written in one transaction that fails when another process was
        faster, so a slot gives one job however many processes run and whatever is killed when.

        Returns:
            What was claimed, at most a batch; call again until it is empty.
        """
        with self._connection.pipeline() as pipe:
            try:
                pipe.watch(_NEXT, _SPECS)
                due = pipe.zrangebyscore(_NEXT, "-inf", now.timestamp(), start=0, num=_BATCH, withscores=True)
                if not due:
                    return []
                slots = {id_.decode(): datetime.fromtimestamp(score, UTC) for id_, score in due}
                specs = dict(zip(slots, pipe.hmget(_SPECS, list(slots)), strict=True))
                arguments = dict(zip(slots, pipe.hmget(_ARGUMENTS, list(slots)), strict=True))
                pipe.multi()
                claims = []
                for id_, slot in slots.items():
                    if specs[id_] is None or arguments[id_] is None:
                        pipe.zrem(_NEXT, id_)
                        continue
                    entry = self._load(json.loads(specs[id_]), arguments[id_])
                    job_id = self._enqueue(pipe, entry, slot)
                    pipe.zadd(_NEXT, {id_: next_slot(entry.cron, now).timestamp()})
                    claims.append(Claim(id_, slot, job_id, (now - slot).total_seconds()))
                pipe.execute()
            except WatchError:
                return []
        return claims

    def _enqueue(self, pipe: Pipeline, entry: CronEntry, slot: datetime) -> str:
        queue = self._queues.get(entry.queue_name)
        if queue is None:
            queue = self._queues[entry.queue_name] = Queue(entry.queue_name, connection=self._connection)
        retry = Retry(max=entry.retry_max, interval=list(entry.retry_intervals)) if entry.retry_max else None
        job = queue.enqueue_call(
            entry.function,
            args=entry.args,
            kwargs=entry.kwargs,
            timeout=entry.timeout,
            description=entry.description,
            retry=retry,
            meta={
                CORRELATION_ID: current_correlation_id(),
                "cron_id": entry.id,
                "cron_slot": slot.isoformat(),
            },
            pipeline=pipe,
        )
        return str(job.id)

    def _write(self, pipe: Any, entry: CronEntry, before: Mapping[str, Any] | None, *, now: datetime) -> None:
        pipe.hset(_SPECS, entry.id, json.dumps(entry.spec()))
        pipe.hset(_ARGUMENTS, entry.id, DefaultSerializer.dumps((entry.args, entry.kwargs)))
        # nx: an entry whose cron is the same keeps its next slot, also one that is due right now.
        keep = before is not None and before["cron"] == entry.cron
        pipe.zadd(_NEXT, {entry.id: next_slot(entry.cron, now).timestamp()}, nx=keep)

    def _remove(self, pipe: Pipeline, ids: list[str]) -> None:
        if ids:
            pipe.hdel(_SPECS, *ids)
            pipe.hdel(_ARGUMENTS, *ids)
            pipe.zrem(_NEXT, *ids)

    def _specs(self) -> dict[str, dict[str, Any]]:
        return {id_.decode(): json.loads(spec) for id_, spec in self._connection.hgetall(_SPECS).items()}

    def _arguments(self, ids: list[str]) -> dict[str, bytes]:
        values = self._connection.hmget(_ARGUMENTS, ids) if ids else []
        return {id_: value for id_, value in zip(ids, values, strict=True) if value is not None}

    def _load(self, spec: dict[str, Any], arguments: bytes) -> CronEntry:
        args, kwargs = DefaultSerializer.loads(arguments)
        return CronEntry.from_spec(spec, args, kwargs)
