"""What one Redis server holds at one moment, read in three round trips whatever there is in it.

The first finds the queues and workers and reads what there is once; the second asks the same few
commands of each queue and worker; the third looks at what the second found.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import hiredis
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.registry import ScheduledJobRegistry
from rq.worker import BaseWorker

from rqmon.exporter.reading import unaccounted
from rqmon.exporter.reading.first_trip import FirstTrip
from rqmon.exporter.reading.largest import MAX_QUEUES, MAX_QUEUES_ASKED, largest
from rqmon.exporter.reading.pipeline import RoundTrips, Waited, pack
from rqmon.exporter.reading.registries import REGISTRIES, STATUSES, amount, key_of, pairs, shown, timestamp
from rqmon.exporter.reading.state import QueueState, Snapshot, WorkerState

# Beside the statuses: what is between queue and start, and the queue's first and last job.
_QUEUE_ANSWERS = len(STATUSES) + 3
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
    waited: Waited | None = None,
) -> Snapshot:
    """Read the server, and wait for it so many seconds at most; `waited` is told of each wait.

    Raises:
        redis.RedisError: It does not answer, or refuses, as while it loads its data.
        OldRedisError: It is too old.
    """
    with RoundTrips(client, seconds=seconds, waited=waited) as trips:
        first = FirstTrip(trips, queue_class, worker_class)
        snapshot = first.snapshot
        prefix = queue_class.redis_queue_namespace_prefix
        worker_prefix = worker_class.redis_worker_namespace_prefix
        names = first.names("queues", prefix)
        queues = dict(itertools.islice(names.items(), MAX_QUEUES_ASKED))
        workers = first.names("workers", worker_prefix)
        jobs = Job.redis_job_namespace_prefix.encode()
        # Not the keys that stand beside a job's own, as its dependents.
        sampled = [key for key in first.sampled if b":" not in key.removeprefix(jobs)]
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
        if len(queues) > MAX_QUEUES:
            kept = largest({queue.raw: sum(queue.jobs.values()) for queue in snapshot.queues}, MAX_QUEUES)
            snapshot.queues = [queue for queue in snapshot.queues if queue.raw in kept]
        snapshot.left_out["queues"] = len(names) - len(snapshot.queues)
        _third(trips, snapshot, [search for search in searches if search is not None])
    return snapshot


@functools.lru_cache(maxsize=8192)
def _queue_commands(prefix: str, raw: bytes) -> bytes:
    key = prefix.encode() + raw
    counts = [pack("ZCARD", key_of(kind, raw)) for kind in REGISTRIES.values()]
    ends = [pack("LINDEX", key, 0), pack("LINDEX", key, -1)]
    return b"".join([pack("LLEN", key), *counts, pack("LLEN", key + b":intermediate"), *ends])


@functools.lru_cache(maxsize=8192)
def _worker_command(prefix: str, raw: bytes) -> bytes:
    return pack("HMGET", prefix.encode() + raw, *_WORKER_FIELDS)


def _queue(name: str, raw: bytes, answers: list[Any], snapshot: Snapshot) -> QueueState:
    last, first = answers.pop(), answers.pop()
    try:
        sum(answers)
    except TypeError:  # a key of the wrong type answers an error
        snapshot.failed(f"queue {name}", next(answer for answer in answers if not isinstance(answer, int)))
        answers = [answer if isinstance(answer, int) else None for answer in answers]
        jobs = {status: n for status, n in zip(STATUSES, answers, strict=False) if n is not None}
    else:
        jobs = dict(zip(STATUSES, answers, strict=False))
    ends = [] if first.__class__ is not bytes else [first] if first == last else [first, last]
    return QueueState(name, raw, jobs, answers[-1], ends)


def _worker(name: str, answer: Any, snapshot: Snapshot) -> WorkerState | None:
    if isinstance(answer, hiredis.ReplyError):
        snapshot.failed(f"worker {name}", answer)
        return None
    state, queues, succeeded, failed, seconds, heartbeat = answer
    if queues is None and state is None:
        return None  # it is gone, and RQ has not taken its name from the set yet

    def read(field: str, value: bytes | None, reader: Callable[[bytes], float | None]) -> float | None:
        try:
            return reader(value or b"0")
        except ValueError:
            snapshot.unreadable.append(f"worker {name} {field}")
            return None

    return WorkerState(
        name=name,
        state=shown(state) if state else "?",
        queues=shown(queues) if queues else "",
        succeeded=read("successful_job_count", succeeded, amount),
        failed=read("failed_job_count", failed, amount),
        working_seconds=read("total_working_time", seconds, amount),
        heartbeat=read("last_heartbeat", heartbeat, timestamp) if heartbeat else None,
    )


def _third(trips: RoundTrips, snapshot: Snapshot, searches: list[unaccounted.Sampled]) -> None:
    scheduled = [queue for queue in snapshot.queues if queue.jobs.get("scheduled")]
    jobs = Job.redis_job_namespace_prefix.encode()
    commands = [_enqueued_at(jobs + id_) for queue in snapshot.queues for id_ in queue.ends]
    for queue in scheduled:
        key = key_of(ScheduledJobRegistry, queue.raw)
        commands.append(pack("ZCOUNT", key, "-inf", f"{snapshot.taken_at:.6f}"))
        commands.append(pack("ZRANGE", key, 0, 0, "WITHSCORES"))
    snapshot.sampled = len(searches)
    for search in searches:
        commands += search.commands
    answers = trips.ask(commands, answers=len(commands))
    for queue in snapshot.queues:
        if queue.ends:
            queue.oldest_enqueued_at = _oldest_time(queue, [next(answers) for _ in queue.ends], snapshot)
    for queue in scheduled:
        overdue, earliest = next(answers), next(answers)
        if isinstance(overdue, int) and isinstance(earliest, list):
            queue.overdue = overdue
            for id_, due in pairs(earliest).items():
                try:
                    queue.worst_delay_seconds = max(0.0, snapshot.taken_at - amount(due))
                except ValueError:
                    snapshot.unreadable.append(f"scheduled job {id_!r}")
    for search in searches:
        snapshot.unaccounted += search.lost([next(answers) for _ in search.commands])


def _enqueued_at(key: bytes) -> bytes:
    # As pack() would, in half of the time.
    return b"*3\r\n$4\r\nHGET\r\n$%d\r\n%b\r\n$11\r\nenqueued_at\r\n" % (len(key), key)


def _oldest_time(queue: QueueState, answers: list[Any], snapshot: Snapshot) -> float | None:
    """When the older of both ends was queued; one whose job is gone, as its ttl ended, is passed over."""
    times = []
    for answer in answers:
        if isinstance(answer, hiredis.ReplyError):
            snapshot.failed(f"oldest job of {queue.name}", answer)
            continue
        try:
            found = timestamp(answer)
        except ValueError:
            snapshot.unreadable.append(f"oldest job of {queue.name}")
        else:
            times += [] if found is None else [found]
    return min(times, default=None)
