"""What one Redis server holds at one moment, read in three round trips whatever there is in it.

The first finds the queues and workers and reads what there is once; the second asks the same few
commands of each queue and worker; the third looks at what the second found.
"""

import functools
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import hiredis
from redis import Redis
from redis.exceptions import ResponseError
from rq import Queue, Worker
from rq.executions import ExecutionRegistry
from rq.job import Job
from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.suspension import WORKERS_SUSPENDED
from rq.worker import BaseWorker

from monitoring.exporter.pipeline import RoundTrips, pack
from scheduler.cron import process, registry
from scheduler.ledger import cron as cron_ledger
from scheduler.ledger import jobs as job_ledger
from scheduler.ledger import rate_limits
from scheduler.ledger.jobs import JobCounts

# In rq-exporter's order, after `queued`.
REGISTRIES: dict[str, type[BaseRegistry]] = {
    "started": StartedJobRegistry,
    "finished": FinishedJobRegistry,
    "failed": FailedJobRegistry,
    "deferred": DeferredJobRegistry,
    "scheduled": ScheduledJobRegistry,
    "canceled": CanceledJobRegistry,
}
STATUSES = ("queued", *REGISTRIES)
_QUEUE_ANSWERS = len(STATUSES) + 1
_WORKER_FIELDS = (
    "state",
    "queues",
    "successful_job_count",
    "failed_job_count",
    "total_working_time",
    "last_heartbeat",
)
_SAMPLE = 100
# A job that moved while it was looked for is not lost; one is looked for once it has been queued that long.
_SETTLED_SECONDS = 60.0
# A list is only searched up to this length: a scrape must not cost more where more jobs wait.
_SEARCHED = 2_000


@dataclass(slots=True)
class QueueState:
    """One queue; a number that could not be read is missing from `jobs`, or None."""

    name: str
    jobs: dict[str, int] = field(default_factory=dict)
    intermediate: int | None = None
    oldest_enqueued_at: float | None = None
    overdue: int = 0
    worst_delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One registered worker; `queues` are joined by commas, the heartbeat is in Unix seconds."""

    name: str
    state: str
    queues: str
    succeeded: int
    failed: int
    working_seconds: float
    heartbeat: float | None


@dataclass(slots=True)
class CronState:
    """What is known of cron: specs by entry id, slots in Unix seconds, and counts."""

    specs: dict[str, dict[str, Any]] = field(default_factory=dict)
    next: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    outcomes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    lateness: job_ledger.Histogram = field(default_factory=job_ledger.Histogram)
    processes: int = 0


@dataclass(slots=True)
class Snapshot:
    """Everything; `taken_at` is the server's clock in Unix seconds, `unreadable` names what was left out."""

    taken_at: float
    suspended: bool = False
    queues: list[QueueState] = field(default_factory=list)
    workers: list[WorkerState] = field(default_factory=list)
    jobs: JobCounts = field(default_factory=JobCounts)
    cron: CronState = field(default_factory=CronState)
    rate_limits: dict[tuple[str, str], int] = field(default_factory=dict)
    info: dict[str, str] = field(default_factory=dict)
    sampled: int = 0
    unaccounted: int = 0
    unreadable: list[str] = field(default_factory=list)


def take(
    client: Redis, *, queue_class: type[Queue] = Queue, worker_class: type[BaseWorker] = Worker
) -> Snapshot:
    """Read the server.

    Raises:
        redis.RedisError: It does not answer, or not yet, as while it loads its data.
    """
    with RoundTrips(client) as trips:
        first = _First(trips, queue_class, worker_class)
        snapshot = first.snapshot
        prefix = queue_class.redis_queue_namespace_prefix
        names = sorted(_names(first.answer("queues"), prefix))
        workers = sorted(first.answer("workers") or [])
        sampled = [key for key in first.sampled if key.count(b":") == 2]
        second = trips.ask(
            [
                *(_queue_commands(prefix, name) for name in names),
                *(_worker_command(key) for key in workers),
                *(pack("HMGET", key, "status", "origin", "enqueued_at") for key in sampled),
            ],
            answers=_QUEUE_ANSWERS * len(names) + len(workers) + len(sampled),
        )
        for position, name in enumerate(names):
            start = position * _QUEUE_ANSWERS
            snapshot.queues.append(_queue(name, second[start : start + _QUEUE_ANSWERS], snapshot))
        answers = iter(second[_QUEUE_ANSWERS * len(names) :])
        worker_prefix = len(worker_class.redis_worker_namespace_prefix)
        for key in workers:
            worker = _worker(key.decode(errors="replace")[worker_prefix:], next(answers), snapshot)
            if worker is not None:
                snapshot.workers.append(worker)
        looked_for = [_looked_for(key, next(answers), snapshot) for key in sampled]
        _third(trips, snapshot, prefix, [job for job in looked_for if job is not None])
    return snapshot


class _First:
    """The first round trip: what there is once."""

    def __init__(self, trips: RoundTrips, queue_class: type[Queue], worker_class: type[BaseWorker]) -> None:
        cursor = random.getrandbits(32)  # any cursor is valid: a part of the keyspace
        commands: dict[str, tuple[str | int, ...]] = {
            "time": ("TIME",),
            "queues": ("SMEMBERS", queue_class.redis_queues_keys),
            "workers": ("SMEMBERS", worker_class.redis_workers_keys),
            "suspended": ("EXISTS", WORKERS_SUSPENDED),
            "jobs": ("HGETALL", job_ledger.COUNTS),
            "cron outcomes": ("HGETALL", cron_ledger.OUTCOMES),
            "cron last": ("HGETALL", cron_ledger.LAST),
            "cron lateness": ("HGETALL", cron_ledger.LATENESS),
            "cron specs": ("HGETALL", registry.SPECS),
            "cron next": ("ZRANGE", registry.NEXT, 0, -1, "WITHSCORES"),
            "cron processes": ("HGETALL", process.PROCESSES),
            "rate limits": ("HGETALL", rate_limits.COUNTS),
            "info": ("INFO",),
            "sample": ("SCAN", cursor, "MATCH", f"{Job.redis_job_namespace_prefix}*", "COUNT", _SAMPLE),
        }
        answers = trips.ask([pack(*command) for command in commands.values()], answers=len(commands))
        self._answers = dict(zip(commands, answers, strict=True))
        if isinstance(self._answers["time"], hiredis.ReplyError):
            raise ResponseError(
                str(self._answers["time"])
            )  # it answers everything so: it loads, or refuses us
        seconds, microseconds = self._answers["time"]
        self.snapshot = Snapshot(taken_at=int(seconds) + int(microseconds) / 1e6)
        self.snapshot.suspended = bool(self.answer("suspended"))
        self.snapshot.jobs = job_ledger.parse(self._pairs("jobs"))
        self.snapshot.rate_limits = rate_limits.parse(self._pairs("rate limits"))
        self.snapshot.info = _info(self.answer("info") or b"")
        self._read_cron()
        self.sampled: list[bytes] = (self.answer("sample") or [b"0", []])[1]

    def answer(self, name: str) -> Any:
        """What was answered; None, and noted, where it was an error."""
        answer = self._answers[name]
        if isinstance(answer, hiredis.ReplyError):
            self.snapshot.unreadable.append(name)
            return None
        return answer

    def _pairs(self, name: str) -> dict[bytes, bytes]:
        flat = iter(self.answer(name) or [])
        return dict(zip(flat, flat, strict=True))

    def _read_cron(self) -> None:
        cron, now = self.snapshot.cron, self.snapshot.taken_at
        for id_, text in self._pairs("cron specs").items():
            spec = _json(text)
            if spec is None:
                self.snapshot.unreadable.append(f"cron entry {id_!r}")
            else:
                cron.specs[id_.decode(errors="replace")] = spec
        cron.next = {
            id_.decode(errors="replace"): float(slot) for id_, slot in self._pairs("cron next").items()
        }
        cron.last = {
            id_.decode(errors="replace"): float(slot) for id_, slot in self._pairs("cron last").items()
        }
        cron.outcomes = cron_ledger.parse_outcomes(self._pairs("cron outcomes"))
        lateness = {le.decode(): value for le, value in self._pairs("cron lateness").items()}
        total = float(lateness.pop("sum", 0.0))
        cron.lateness = job_ledger.Histogram({le: int(slots) for le, slots in lateness.items()}, total)
        cron.processes = sum(
            now - float((_json(text) or {}).get("heartbeat", 0)) < process.LIVE_SECONDS
            for text in self._pairs("cron processes").values()
        )


def _json(text: bytes) -> dict[str, Any] | None:
    try:
        loaded = json.loads(text)
    except ValueError:
        return None
    return loaded if isinstance(loaded, dict) else None


def _names(keys: Any, prefix: str) -> list[str]:
    return [key.decode(errors="replace").removeprefix(prefix) for key in keys or []]


@functools.lru_cache(maxsize=8192)
def _queue_commands(prefix: str, name: str) -> bytes:
    key = f"{prefix}{name}"
    counts = [pack("ZCARD", kind.key_template.format(name)) for kind in REGISTRIES.values()]
    return b"".join([pack("LLEN", key), *counts, pack("LLEN", f"{key}:intermediate")])


@functools.lru_cache(maxsize=8192)
def _worker_command(key: bytes) -> bytes:
    return pack("HMGET", key, *_WORKER_FIELDS)


def _queue(name: str, answers: list[Any], snapshot: Snapshot) -> QueueState:
    try:
        sum(answers)
    except TypeError:  # a key of the wrong type answers an error
        snapshot.unreadable.append(f"queue {name}")
        answers = [answer if isinstance(answer, int) else None for answer in answers]
        jobs = {status: n for status, n in zip(STATUSES, answers, strict=False) if n is not None}
        return QueueState(name, jobs, answers[-1])
    return QueueState(name, dict(zip(STATUSES, answers, strict=False)), answers[-1])


def _worker(name: str, answer: Any, snapshot: Snapshot) -> WorkerState | None:
    try:
        state, queues, succeeded, failed, seconds, heartbeat = answer
        if queues is None and state is None:
            return None  # it is gone, and RQ has not taken its name from the set yet
        return WorkerState(
            name=name,
            state=state.decode() if state else "?",
            queues=queues.decode() if queues else "",
            succeeded=int(succeeded or 0),
            failed=int(failed or 0),
            working_seconds=float(seconds or 0),
            heartbeat=_timestamp(heartbeat),
        )
    except (TypeError, ValueError):
        snapshot.unreadable.append(f"worker {name}")
        return None


def _timestamp(text: bytes | None) -> float | None:
    return datetime.fromisoformat(text.decode()).timestamp() if text else None


def _looked_for(key: bytes, answer: Any, snapshot: Snapshot) -> tuple[str, str, str] | None:
    """Id, status and queue of a sampled job that is to be looked for."""
    if isinstance(answer, hiredis.ReplyError) or not answer[0] or not answer[1]:
        return None
    try:
        status, origin = answer[0].decode(), answer[1].decode()
        enqueued_at = _timestamp(answer[2])
    except ValueError:
        return None
    snapshot.sampled += 1
    if enqueued_at is not None and snapshot.taken_at - enqueued_at < _SETTLED_SECONDS:
        return None
    return key.decode(errors="replace").removeprefix(Job.redis_job_namespace_prefix), status, origin


def _places(
    prefix: str, job: str, status: str, origin: str, lengths: Mapping[str, int]
) -> list[bytes] | None:
    """Commands that answer something where the job is, in the order in which a job moves on."""
    if status == "queued":
        if lengths.get(origin, 0) > _SEARCHED:
            return None
        return [
            pack("LPOS", f"{prefix}{origin}", job, "MAXLEN", _SEARCHED),
            pack("LPOS", f"{prefix}{origin}:intermediate", job, "MAXLEN", _SEARCHED),
            pack("ZRANGE", ExecutionRegistry.key_template.format(job), 0, 0),
        ]
    if status == "started":
        running = StartedJobRegistry.key_template.format(origin)
        return [
            pack("LPOS", f"{prefix}{origin}:intermediate", job, "MAXLEN", _SEARCHED),
            pack("ZRANGE", ExecutionRegistry.key_template.format(job), 0, 0),
            pack("ZSCAN", running, 0, "MATCH", f"{job}:*", "COUNT", _SEARCHED),
        ]
    kind = REGISTRIES.get("failed" if status == "stopped" else status)
    return None if kind is None else [pack("ZSCORE", kind.key_template.format(origin), job)]


def _third(trips: RoundTrips, snapshot: Snapshot, prefix: str, jobs: list[tuple[str, str, str]]) -> None:
    lengths = {queue.name: queue.jobs.get("queued", 0) for queue in snapshot.queues}
    waiting = [queue for queue in snapshot.queues if queue.jobs.get("queued")]
    scheduled = [queue for queue in snapshot.queues if queue.jobs.get("scheduled")]
    searched = [(places, job) for job in jobs if (places := _places(prefix, *job, lengths)) is not None]
    job_prefix = Job.redis_job_namespace_prefix
    commands = [_oldest(prefix, queue.name, job_prefix) for queue in waiting]
    for queue in scheduled:
        key = ScheduledJobRegistry.key_template.format(queue.name)
        commands.append(pack("ZCOUNT", key, "-inf", f"{snapshot.taken_at:.6f}"))
        commands.append(pack("ZRANGE", key, 0, 0, "WITHSCORES"))
    for places, (job, _, _) in searched:
        commands += [*places, pack("HGET", f"{job_prefix}{job}", "status")]
    count = len(waiting) + 2 * len(scheduled) + sum(len(places) + 1 for places, _ in searched)
    answers = iter(trips.ask(commands, answers=count))
    for queue in waiting:
        queue.oldest_enqueued_at = _first_time(next(answers), snapshot)
    for queue in scheduled:
        overdue, earliest = next(answers), next(answers)
        if isinstance(overdue, int) and isinstance(earliest, list) and earliest:
            queue.overdue = overdue
            queue.worst_delay_seconds = max(0.0, snapshot.taken_at - float(earliest[1]))
    for places, (_, status, _) in searched:
        found = [next(answers) for _ in places]
        still = next(answers)
        nowhere = all(answer in (None, [], [b"0", []]) for answer in found)
        if nowhere and isinstance(still, bytes) and still.decode() == status:
            snapshot.unaccounted += 1


@functools.lru_cache(maxsize=8192)
def _oldest(prefix: str, name: str, job_prefix: str) -> bytes:
    # The first job's own field in one command; unsorted, SORT reads no more of a list than LIMIT says.
    return pack(
        "SORT", f"{prefix}{name}", "BY", "nosort", "LIMIT", 0, 1, "GET", f"{job_prefix}*->enqueued_at"
    )


def _first_time(answer: Any, snapshot: Snapshot) -> float | None:
    try:
        return _timestamp(answer[0]) if answer else None
    except (TypeError, ValueError):
        snapshot.unreadable.append("oldest job")
        return None


def _info(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}
