"""The one place where the job of a slot is made, checked and queued."""

from datetime import datetime
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry
from rq.job import Job

from scheduler.config import Settings, current
from scheduler.cron.entries import CronEntry
from scheduler.errors import CronError
from scheduler.jobs import enqueue, make_job
from scheduler.serializers import SERIALIZERS


class SlotJobs:
    """Makes the jobs of cron entries and queues them; by default with the environment's settings."""

    def __init__(self, connection: Redis, *, settings: Settings | None = None) -> None:
        self._connection = connection
        self._queues: dict[str, Queue] = {}
        self._serializer = SERIALIZERS[(settings or current()).serializer]

    def queue(self, name: str) -> Queue:
        """Return the queue of that name, the same object each time."""
        queue = self._queues.get(name)
        if queue is None:
            queue = Queue(name, connection=self._connection, serializer=self._serializer)
            self._queues[name] = queue
        return queue

    def make(self, entry: CronEntry, slot: datetime | None) -> Job:
        """Make an entry's job, not queued yet; without a slot if a person asked for it.

        Raises:
            CronError: RQ can't make it.
        """
        try:
            return make_job(
                self.queue(entry.queue_name),
                entry.function,
                data=entry.data,
                timeout=entry.timeout,
                description=entry.description,
                retry=Retry(max=entry.retry_max, interval=list(entry.retry_intervals))
                if entry.retry_max
                else None,
                meta={"cron_id": entry.id, "cron_slot": slot.isoformat() if slot else None},
            )
        except RedisError:
            raise
        except Exception as error:  # RQ raises anything, and one entry must not stop the others
            raise _cant_make(entry, error) from error

    def enqueue(self, pipe: Any, job: Job) -> None:
        """Queue a job in a pipeline."""
        enqueue(self.queue(job.origin), job, pipeline=pipe)

    def check(self, entry: CronEntry) -> None:
        """Make an entry's job as a slot would, but don't store it.

        Raises:
            CronError: RQ can't make it, or Redis could not store it.
        """
        job = self.make(entry, None)
        encoder: Any = self._connection.get_encoder()
        try:
            for value in job.to_dict().values():
                encoder.encode(value)
        except Exception as error:  # whatever it is, a slot would fail with it
            raise _cant_make(entry, error) from error


def _cant_make(entry: CronEntry, error: Exception) -> CronError:
    return CronError(f"RQ can't make a job of cron entry {entry.id!r}: {error or type(error).__name__}")
