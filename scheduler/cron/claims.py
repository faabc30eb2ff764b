"""Claiming: each due slot gets its one job, or is counted as dropped, in the transaction that moves it on."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis, WatchError
from rq import Queue, Retry
from rq.job import Job

from scheduler.config import Settings
from scheduler.cron.entries import CronEntry, Outcome
from scheduler.cron.registry import DATA, EPOCH, LAST_JOB, NEXT, SPECS
from scheduler.errors import CronError
from scheduler.ledger import cron as ledger
from scheduler.logs import CORRELATION_ID, current_correlation_id
from scheduler.serializers import configured

_BATCH = 200
_NOT_DONE = (b"queued", b"scheduled", b"deferred", b"started")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What a tick sees in one round trip: the server's time, the first slot of any entry, and the epoch."""

    now: datetime
    first: datetime | None
    epoch: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot whose job was queued, and how far behind it was, by the server's clock."""

    entry_id: str
    slot: datetime
    job_id: str
    lateness_seconds: float


class Claimer:
    """Queues the jobs of due slots, beside any number of others that do the same."""

    def __init__(self, connection: Redis) -> None:
        self._connection: Any = connection  # redis-py types every answer as an awaitable too
        self._queues: dict[str, Queue] = {}
        self._serializer = configured()
        self._bounds = Settings.from_env().job_buckets_seconds

    def look(self) -> Look:
        """Whether anything is due; the one thing an idle process asks."""
        with self._connection.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.zrange(NEXT, 0, 0, withscores=True)
            pipe.get(EPOCH)
            time, first, epoch = pipe.execute()
        return Look(
            now=_moment(time),
            first=datetime.fromtimestamp(first[0][1], UTC) if first else None,
            epoch=epoch.decode() if epoch else None,
        )

    def claim(self, *, now: datetime | None = None, clock: datetime | None = None) -> list[Claim] | None:
        """Deal with a batch of entries that are due.

        Their jobs, their next slots and what is counted are written in one transaction, which fails when
        another process was faster or an entry was changed: a slot gives one job however many processes
        run and whatever is killed when.

        Args:
            now: What is due by then; by default the server's time.
            clock: The time lateness is measured at; by default the server's when it runs the transaction.

        Returns:
            The slots that got a job; None when nothing was due. Call again until it is None.
        """
        with self._connection.pipeline() as pipe:
            try:
                pipe.watch(NEXT, SPECS)
                if now is None:
                    now = _moment(pipe.time())
                due = pipe.zrangebyscore(NEXT, "-inf", now.timestamp(), start=0, num=_BATCH, withscores=True)
                if not due:
                    return None
                ids = [id_.decode() for id_, _ in due]
                specs, data = pipe.hmget(SPECS, ids), pipe.hmget(DATA, ids)
                busy = self._busy(ids)
                pipe.multi()
                queued: list[ledger.QueuedSlot] = []
                skipped: list[tuple[str, list[datetime]]] = []
                following: dict[str, float] = {}
                for id_, (_, score), spec, job_data in zip(ids, due, specs, data, strict=True):
                    try:
                        entry = CronEntry.from_stored(id_, spec, job_data)
                    except CronError as error:
                        # Nothing can be run for it, and it must not hold up the others.
                        _log.error("cron_entry_unreadable", extra={"cron_id": id_, "error": str(error)})
                        pipe.zrem(NEXT, id_)
                        continue
                    first = datetime.fromtimestamp(score, UTC)
                    slots = entry.schedule.due(first, now)
                    chosen, dropped = entry.outcomes(slots, now=now, busy=id_ in busy)
                    following[id_] = slots.following.timestamp()
                    missed = dropped[Outcome.MISSED]
                    untold = slots.total - len(slots.slots)
                    ledger.count_dropped_slots(
                        pipe, id_, Outcome.MISSED, slots=missed, total=len(missed) + untold
                    )
                    # After what is queued below, whose slot is before theirs.
                    skipped.append((id_, dropped[Outcome.SKIPPED]))
                    for slot in chosen:
                        job = self.enqueue(pipe, entry, slot)
                        queued.append(ledger.QueuedSlot(id_, slot, entry.late_after_seconds, job.id))
                if following:
                    pipe.zadd(NEXT, following)
                if queued:
                    pipe.hset(LAST_JOB, mapping={slot.entry_id: slot.job_id for slot in queued})
                    ledger.count_queued_slots(pipe, queued, now=clock, bounds=self._bounds)
                position = len(pipe) - 1
                for id_, lost in skipped:
                    ledger.count_dropped_slots(pipe, id_, Outcome.SKIPPED, slots=lost, total=len(lost))
                answers = pipe.execute()
            except WatchError:
                return []
        lateness = answers[position] if queued else []
        return [
            Claim(slot.entry_id, slot.slot, slot.job_id, float(behind))
            for slot, behind in zip(queued, lateness, strict=True)
        ]

    def enqueue(self, pipe: Any, entry: CronEntry, slot: datetime | None) -> Job:
        """Queue an entry's job in a pipeline; without a slot when a person asked for it."""
        queue = self._queues.get(entry.queue_name)
        if queue is None:
            queue = Queue(entry.queue_name, connection=self._connection, serializer=self._serializer)
            self._queues[entry.queue_name] = queue
        job = queue.create_job(
            entry.function,
            timeout=entry.timeout,
            description=entry.description,
            retry=Retry(max=entry.retry_max, interval=list(entry.retry_intervals))
            if entry.retry_max
            else None,
            meta={
                CORRELATION_ID: current_correlation_id(),
                "cron_id": entry.id,
                "cron_slot": slot.isoformat() if slot else None,
            },
        )
        job.data = entry.data
        queue.enqueue_job(job, pipeline=pipe)
        return job

    def _busy(self, ids: list[str]) -> set[str]:
        """The entries whose last slot's job is not done."""
        jobs = {id_: job for id_, job in zip(ids, self._connection.hmget(LAST_JOB, ids), strict=True) if job}
        with self._connection.pipeline(transaction=False) as pipe:
            for job in jobs.values():
                pipe.hget(Job.key_for(job.decode()), "status")
            return {id_ for id_, status in zip(jobs, pipe.execute(), strict=True) if status in _NOT_DONE}


def _moment(time: tuple[int, int]) -> datetime:
    """The server's answer to TIME: seconds and microseconds."""
    return datetime.fromtimestamp(time[0] + time[1] / 1e6, UTC)
