"""What one Redis server holds at one moment, read in three round trips whatever there is in it.

The first finds the queues and workers and reads what there is once; the second asks the same few
commands of each queue and worker; the third looks at what the second found.
"""

import functools
import json
import random
import re
from typing import Any

import hiredis
from redis import Redis
from redis.exceptions import ResponseError
from rq import Queue, Worker
from rq.job import Job
from rq.registry import ScheduledJobRegistry
from rq.suspension import WORKERS_SUSPENDED
from rq.worker import BaseWorker

from monitoring.exporter import unaccounted
from monitoring.exporter.pipeline import RoundTrips, pack
from monitoring.exporter.registries import REGISTRIES, STATUSES, timestamp
from monitoring.exporter.state import QueueState, Snapshot, WorkerState
from scheduler.cron import process, registry
from scheduler.ledger import cron as cron_ledger
from scheduler.ledger import jobs as job_ledger
from scheduler.ledger import rate_limits

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
        lengths = {queue.name: queue.jobs.get("queued", 0) for queue in snapshot.queues}
        searches = [
            unaccounted.sampled(key, next(answers), now=snapshot.taken_at, prefix=prefix, lengths=lengths)
            for key in sampled
        ]
        _third(trips, snapshot, prefix, [search for search in searches if search is not None])
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
            # It answers everything so: it loads its data, or refuses us.
            raise ResponseError(str(self._answers["time"]))
        seconds, microseconds = self._answers["time"]
        self.snapshot = Snapshot(taken_at=int(seconds) + int(microseconds) / 1e6)
        self.snapshot.suspended = bool(self.answer("suspended"))
        self.snapshot.jobs = job_ledger.parse(self._numbers("jobs"))
        self.snapshot.rate_limits = rate_limits.parse(self._numbers("rate limits"))
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

    def _numbers(self, name: str) -> dict[bytes, bytes]:
        """The pairs whose value is a number; the others are noted."""
        numbers = {}
        for key, value in self._pairs(name).items():
            if re.fullmatch(rb"-?\d+(\.\d+)?(e[-+]\d+)?", value):
                numbers[key] = value
            else:
                self.snapshot.unreadable.append(f"{name} {key!r}")
        return numbers

    def _read_cron(self) -> None:
        cron, now = self.snapshot.cron, self.snapshot.taken_at
        for id_, text in self._pairs("cron specs").items():
            spec = _json(text)
            if spec is None:
                self.snapshot.unreadable.append(f"cron entry {id_!r}")
            else:
                cron.specs[id_.decode(errors="replace")] = spec
        cron.next = _by_name(self._numbers("cron next"))
        cron.last = _by_name(self._numbers("cron last"))
        cron.outcomes = cron_ledger.parse_outcomes(self._numbers("cron outcomes"))
        lateness = _by_name(self._numbers("cron lateness"))
        total = lateness.pop("sum", 0.0)
        cron.lateness = job_ledger.Histogram({le: int(slots) for le, slots in lateness.items()}, total)
        for name, text in self._pairs("cron processes").items():
            try:
                beat = float((_json(text) or {})["heartbeat"])
            except (KeyError, TypeError, ValueError):
                self.snapshot.unreadable.append(f"cron process {name!r}")
            else:
                cron.processes += now - beat < process.LIVE_SECONDS


def _json(text: bytes) -> dict[str, Any] | None:
    try:
        loaded = json.loads(text)
    except ValueError:
        return None
    return loaded if isinstance(loaded, dict) else None


def _by_name(numbers: dict[bytes, bytes]) -> dict[str, float]:
    return {name.decode(errors="replace"): float(number) for name, number in numbers.items()}


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
            heartbeat=timestamp(heartbeat),
        )
    except (TypeError, ValueError):
        snapshot.unreadable.append(f"worker {name}")
        return None


def _third(trips: RoundTrips, snapshot: Snapshot, prefix: str, searches: list[unaccounted.Sampled]) -> None:
    waiting = [queue for queue in snapshot.queues if queue.jobs.get("queued")]
    scheduled = [queue for queue in snapshot.queues if queue.jobs.get("scheduled")]
    commands = [_oldest(prefix, queue.name) for queue in waiting]
    for queue in scheduled:
        key = ScheduledJobRegistry.key_template.format(queue.name)
        commands.append(pack("ZCOUNT", key, "-inf", f"{snapshot.taken_at:.6f}"))
        commands.append(pack("ZRANGE", key, 0, 0, "WITHSCORES"))
    snapshot.sampled = len(searches)
    for search in searches:
        commands += search.commands
    answers = iter(trips.ask(commands, answers=len(commands)))
    for queue in waiting:
        queue.oldest_enqueued_at = _first_time(next(answers), snapshot)
    for queue in scheduled:
        overdue, earliest = next(answers), next(answers)
        if isinstance(overdue, int) and isinstance(earliest, list) and earliest:
            queue.overdue = overdue
            queue.worst_delay_seconds = max(0.0, snapshot.taken_at - float(earliest[1]))
    for search in searches:
        snapshot.unaccounted += search.lost([next(answers) for _ in search.commands])


@functools.lru_cache(maxsize=8192)
def _oldest(prefix: str, name: str) -> bytes:
    # The first job's own field in one command; unsorted, SORT reads no more of a list than LIMIT says.
    field = f"{Job.redis_job_namespace_prefix}*->enqueued_at"
    return pack("SORT", f"{prefix}{name}", "BY", "nosort", "LIMIT", 0, 1, "GET", field)


def _first_time(answer: Any, snapshot: Snapshot) -> float | None:
    try:
        return timestamp(answer[0]) if answer else None
    except (TypeError, ValueError):
        snapshot.unreadable.append("oldest job")
        return None


def _info(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}
