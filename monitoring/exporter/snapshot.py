"""What one Redis server holds at one moment, read in three round trips whatever there is in it.

The first finds the queues and workers and reads what there is once; the second asks the same few
commands of each queue and worker; the third looks at what the second found.
"""

import functools
import itertools
from typing import Any

from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.registry import ScheduledJobRegistry
from rq.worker import BaseWorker

from monitoring.exporter import unaccounted
from monitoring.exporter.first_trip import FirstTrip
from monitoring.exporter.pipeline import RoundTrips, pack
from monitoring.exporter.registries import REGISTRIES, STATUSES, amount, key_of, shown, timestamp
from monitoring.exporter.state import QueueState, Snapshot, WorkerState

_QUEUE_ANSWERS = len(STATUSES) + 1
_WORKER_FIELDS = (
    "state",
    "queues",
    "successful_job_count",
    "failed_job_count",
    "total_working_time",
    "last_heartbeat",
)


def take(
    client: Redis,
    *,
    queue_class: type[Queue] = Queue,
    worker_class: type[BaseWorker] = Worker,
    seconds: float = 10.0,
) -> Snapshot:
    """Read the server, within so many seconds.

    Raises:
        redis.RedisError: It does not answer, or not yet, as while it loads its data.
    """
    with RoundTrips(client, seconds=seconds) as trips:
        first = FirstTrip(trips, queue_class, worker_class)
        snapshot = first.snapshot
        prefix = queue_class.redis_queue_namespace_prefix
        worker_prefix = worker_class.redis_worker_namespace_prefix
        queues = first.names("queues", prefix)
        workers = first.names("workers", worker_prefix)
        sampled = [key for key in first.sampled if key.count(b":") == 2]
        second = trips.ask(
            [
                *(_queue_commands(prefix, raw) for raw in queues.values()),
                *(_worker_command(worker_prefix, raw) for raw in workers.values()),
                *(pack("HMGET", key, "status", "origin", "enqueued_at") for key in sampled),
            ],
            answers=_QUEUE_ANSWERS * len(queues) + len(workers) + len(sampled),
        )
        for name, raw in queues.items():
            answers = list(itertools.islice(second, _QUEUE_ANSWERS))
            snapshot.queues.append(_queue(name, raw, answers, snapshot))
        for name in workers:
            worker = _worker(name, next(second), snapshot)
            if worker is not None:
                snapshot.workers.append(worker)
        lengths = {queue.raw: queue.jobs.get("queued", 0) for queue in snapshot.queues}
        searches = [
            unaccounted.sampled(key, next(second), now=snapshot.taken_at, prefix=prefix, lengths=lengths)
            for key in sampled
        ]
        _third(trips, snapshot, prefix, [search for search in searches if search is not None])
    return snapshot


@functools.lru_cache(maxsize=8192)
def _queue_commands(prefix: str, raw: bytes) -> bytes:
    key = prefix.encode() + raw
    counts = [pack("ZCARD", key_of(kind, raw)) for kind in REGISTRIES.values()]
    return b"".join([pack("LLEN", key), *counts, pack("LLEN", key + b":intermediate")])


@functools.lru_cache(maxsize=8192)
def _worker_command(prefix: str, raw: bytes) -> bytes:
    return pack("HMGET", prefix.encode() + raw, *_WORKER_FIELDS)


def _queue(name: str, raw: bytes, answers: list[Any], snapshot: Snapshot) -> QueueState:
    try:
        sum(answers)
    except TypeError:  # a key of the wrong type answers an error
        snapshot.unreadable.append(f"queue {name}")
        answers = [answer if isinstance(answer, int) else None for answer in answers]
        jobs = {status: n for status, n in zip(STATUSES, answers, strict=False) if n is not None}
        return QueueState(name, raw, jobs, answers[-1])
    return QueueState(name, raw, dict(zip(STATUSES, answers, strict=False)), answers[-1])


def _worker(name: str, answer: Any, snapshot: Snapshot) -> WorkerState | None:
    try:
        state, queues, succeeded, failed, seconds, heartbeat = answer
        if queues is None and state is None:
            return None  # it is gone, and RQ has not taken its name from the set yet
        return WorkerState(
            name=name,
            state=shown(state) if state else "?",
            queues=shown(queues) if queues else "",
            succeeded=int(amount(succeeded or b"0")),
            failed=int(amount(failed or b"0")),
            working_seconds=amount(seconds or b"0"),
            heartbeat=timestamp(heartbeat),
        )
    except (TypeError, ValueError):
        snapshot.unreadable.append(f"worker {name}")
        return None


def _third(trips: RoundTrips, snapshot: Snapshot, prefix: str, searches: list[unaccounted.Sampled]) -> None:
    waiting = [queue for queue in snapshot.queues if queue.jobs.get("queued")]
    scheduled = [queue for queue in snapshot.queues if queue.jobs.get("scheduled")]
    commands = [_end(prefix, queue.raw, order) for queue in waiting for order in ("ASC", "DESC")]
    for queue in scheduled:
        key = key_of(ScheduledJobRegistry, queue.raw)
        commands.append(pack("ZCOUNT", key, "-inf", f"{snapshot.taken_at:.6f}"))
        commands.append(pack("ZRANGE", key, 0, 0, "WITHSCORES"))
    snapshot.sampled = len(searches)
    for search in searches:
        commands += search.commands
    answers = trips.ask(commands, answers=len(commands))
    for queue in waiting:
        queue.oldest_enqueued_at = _oldest_time(queue, [next(answers), next(answers)], snapshot)
    for queue in scheduled:
        overdue, earliest = next(answers), next(answers)
        if isinstance(overdue, int) and isinstance(earliest, list) and earliest:
            queue.overdue = overdue
            try:
                queue.worst_delay_seconds = max(0.0, snapshot.taken_at - amount(earliest[1]))
            except ValueError:
                snapshot.unreadable.append(f"scheduled job {earliest[0]!r}")
    for search in searches:
        snapshot.unaccounted += search.lost([next(answers) for _ in search.commands])


@functools.lru_cache(maxsize=8192)
def _end(prefix: str, raw: bytes, order: str) -> bytes:
    # The last job's own field, or the first's, in one command; unsorted, SORT reads no more of a list than
    # LIMIT says, from its end when it is to descend.
    field = f"{Job.redis_job_namespace_prefix}*->enqueued_at"
    return pack("SORT", prefix.encode() + raw, "BY", "nosort", "LIMIT", 0, 1, "GET", field, order)


def _oldest_time(queue: QueueState, ends: list[Any], snapshot: Snapshot) -> float | None:
    """When the older of both ends was queued; one whose job is gone, or can't be read, is passed over."""
    if ends == [[], []]:
        return None  # it was emptied meanwhile
    times, malformed = [], False
    for end in ends:
        try:
            found = timestamp(end[0]) if end else None
        except (TypeError, ValueError):
            malformed = True
        else:
            times += [] if found is None else [found]
    if malformed or not times:
        snapshot.unreadable.append(f"oldest job of {queue.name}")
    return min(times, default=None)
