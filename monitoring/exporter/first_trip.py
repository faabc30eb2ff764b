"""What there is once on a server, read in the first round trip of a snapshot."""

import json
import random
from typing import Any

import hiredis
from redis.exceptions import ResponseError
from rq import Queue
from rq.job import Job
from rq.suspension import WORKERS_SUSPENDED
from rq.worker import BaseWorker

from monitoring.exporter.pipeline import RoundTrips, pack
from monitoring.exporter.registries import amount, shown
from monitoring.exporter.state import Snapshot
from scheduler.cron import process, registry
from scheduler.ledger import cron as cron_ledger
from scheduler.ledger import jobs as job_ledger
from scheduler.ledger import rate_limits

_SAMPLE = 100


class FirstTrip:
    """The answers of the first round trip; what can't be read is noted in its snapshot."""

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
        self.snapshot.jobs = job_ledger.parse(self._numbers("jobs", bars=3))
        self.snapshot.unreadable += [f"jobs {name!r}" for name in self.snapshot.jobs.unreadable]
        self.snapshot.rate_limits = rate_limits.parse(self._numbers("rate limits", bars=1))
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

    def names(self, name: str, prefix: str) -> dict[str, bytes]:
        """What the keys end in, by how it is shown; one that has no prefix or looks like another is noted."""
        names: dict[str, bytes] = {}
        start = prefix.encode()
        for key in sorted(self.answer(name) or []):
            raw = key.removeprefix(start)
            label = shown(raw)
            if raw == key or label in names:
                self.snapshot.unreadable.append(f"{name} {key!r}")
            else:
                names[label] = raw
        return names

    def _pairs(self, name: str) -> dict[bytes, bytes]:
        flat = iter(self.answer(name) or [])
        return dict(zip(flat, flat, strict=True))

    def _numbers(self, name: str, *, bars: int = 0) -> dict[bytes, bytes]:
        """The pairs of a text, with so many bars at least, and a number; the others are noted."""
        numbers = {}
        for key, value in self._pairs(name).items():
            try:
                amount(value)
                if key.decode().count("|") < bars:
                    raise ValueError("has parts that are missing")
            except ValueError:
                self.snapshot.unreadable.append(f"{name} {key!r}")
            else:
                numbers[key] = value
        return numbers

    def _read_cron(self) -> None:
        cron, now = self.snapshot.cron, self.snapshot.taken_at
        for id_, text in self._pairs("cron specs").items():
            try:
                cron.entries[id_.decode()] = _about(text)
            except (ValueError, RecursionError):
                self.snapshot.unreadable.append(f"cron entry {id_!r}")
        cron.next = _by_name(self._numbers("cron next"))
        cron.last = _by_name(self._numbers("cron last"))
        cron.outcomes = cron_ledger.parse_outcomes(self._numbers("cron outcomes", bars=1))
        for le, value in _by_name(self._numbers("cron lateness")).items():
            try:
                if le == "sum":
                    cron.lateness.sum_seconds = value
                else:
                    cron.lateness.add(le, int(value))
            except ValueError:
                self.snapshot.unreadable.append(f"cron lateness {le.encode()!r}")
        for name, text in self._pairs("cron processes").items():
            try:
                beat = amount(str(_json(text)["heartbeat"]))
            except (KeyError, ValueError, RecursionError):
                self.snapshot.unreadable.append(f"cron process {name!r}")
            else:
                cron.processes += now - beat < process.LIVE_SECONDS


def _json(text: bytes) -> dict[str, Any]:
    loaded = json.loads(text)
    if not isinstance(loaded, dict):
        raise ValueError("not an object")
    return loaded


def _about(spec: bytes) -> dict[str, str]:
    """A cron entry's labels."""
    fields = _json(spec)
    schedule = fields.get("schedule") or {}
    if not isinstance(schedule, dict):
        raise ValueError("not a schedule")
    about = {
        "function": str(fields.get("function")),
        "queue": str(fields.get("queue_name")),
        "schedule": str(schedule.get("cron") or f"every {schedule.get('interval_seconds')} s"),
        "timezone": str(schedule.get("timezone")),
    }
    "".join(about.values()).encode()  # JSON can hold halves of characters, which no text can
    return about


def _by_name(numbers: dict[bytes, bytes]) -> dict[str, float]:
    return {name.decode(): float(number) for name, number in numbers.items()}


def _info(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}
