"""What there is once on a server, read in the first round trip of a snapshot."""

import json
import random
from collections.abc import Mapping
from typing import Any

import hiredis
from redis.exceptions import ResponseError
from rq import Queue
from rq.job import Job
from rq.suspension import WORKERS_SUSPENDED
from rq.worker import BaseWorker

from rqmon.exporter.reading import largest
from rqmon.exporter.reading.pipeline import RoundTrips, pack
from rqmon.exporter.reading.registries import amount, pairs, shown
from rqmon.exporter.reading.state import Snapshot
from scheduler.connections.refusals import CODES, WRITE_CODES, refusal
from scheduler.connections.server_version import old_redis
from scheduler.cron import heartbeats
from scheduler.cron.store import registry
from scheduler.ledger import cron as cron_ledger
from scheduler.ledger import jobs as job_ledger
from scheduler.ledger import rate_limits

_SAMPLE = 100
# Nobody writes it, so that LPUSHX changes nothing; and Redis answers it as it answers every write.
_PROBE = "rqmon:exporter:probe"
_UNKNOWN = "?"


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
            "cron processes": ("HGETALL", heartbeats.PROCESSES),
            "rate limits": ("HGETALL", rate_limits.COUNTS),
            "info": ("INFO",),
            "newest": ("ZMSCORE", registry.NEXT, ""),
            "probe": ("LPUSHX", _PROBE, ""),
            "sample": ("SCAN", cursor, "MATCH", f"{Job.redis_job_namespace_prefix}*", "COUNT", _SAMPLE),
        }
        answers = trips.ask([pack(*command) for command in commands.values()], answers=len(commands))
        self._answers = dict(zip(commands, answers, strict=True))
        for name in ("time", "queues", "workers"):
            answer = self._answers[name]
            # While it loads, and of a replica that lost its primary, some commands are answered still.
            if isinstance(answer, hiredis.ReplyError) and (name == "time" or _refusal(answer)):
                raise ResponseError(str(answer))
        newest = self._answers["newest"]
        if isinstance(newest, hiredis.ReplyError) and (too_old := old_redis(newest)):
            raise too_old
        seconds, microseconds = self._answers["time"]
        self.snapshot = Snapshot(taken_at=int(seconds) + int(microseconds) / 1e6)
        self._read_refusals()
        self.snapshot.suspended = bool(self.answer("suspended"))
        counts, self.snapshot.left_out = largest.of_ledger(pairs(self.answer("jobs")))
        self.snapshot.jobs = job_ledger.parse(self._numbers("jobs", counts, bars=3))
        self.snapshot.unreadable += [f"jobs {name!r}" for name in self.snapshot.jobs.unreadable]
        limits = rate_limits.parse(self._numbers("rate limits", bars=1))
        self.snapshot.rate_limits, self.snapshot.left_out["resources"] = largest.of_resources(limits)
        if _refusal(self._answers["info"]) != "NOPERM":  # a user may be held to keys and safe commands
            self.snapshot.info = _info(self.answer("info") or b"")
        self._read_cron()
        self.sampled: list[bytes] = (self.answer("sample") or [b"0", []])[1]

    def answer(self, name: str) -> Any:
        """What was answered; None, and noted, where it was an error."""
        answer = self._answers[name]
        if isinstance(answer, hiredis.ReplyError):
            self.snapshot.failed(name, answer)
            return None
        return answer

    def _read_refusals(self) -> None:
        self.snapshot.refusing = dict.fromkeys(CODES, False)
        code = _refusal(self._answers["probe"])
        if code == "NOPERM":  # this user may not write, so what others are answered is not known
            for unknown in WRITE_CODES:
                del self.snapshot.refusing[unknown]
        elif code is not None:
            self.snapshot.refusing[code] = True

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

    def _numbers(
        self, name: str, given: Mapping[bytes, Any] | None = None, *, bars: int = 0
    ) -> dict[bytes, Any]:
        """The pairs of a text, with so many bars at least, and a number; the others are noted."""
        numbers = {}
        for key, value in (pairs(self.answer(name)) if given is None else given).items():
            try:
                amount(value)
                if key.decode().count("|") < bars:
                    raise ValueError("has parts that are missing")
            except ValueError:
                self.snapshot.unreadable.append(f"{name} {key!r}")
            else:
                numbers[key] = value
        return numbers

    def _about(self, id_: bytes, fields: dict[str, Any]) -> dict[str, str]:
        """A cron entry's labels; one that can't be read is `?`."""
        schedule = fields.get("schedule")
        if not isinstance(schedule, dict):
            self.snapshot.unreadable.append(f"cron entry {id_!r} schedule")
            schedule = {"cron": _UNKNOWN, "timezone": _UNKNOWN}
        about: dict[str, Any] = {
            "function": fields.get("function"),
            "queue": fields.get("queue_name"),
            "schedule": schedule.get("cron") or f"every {schedule.get('interval_seconds')} s",
            "timezone": schedule.get("timezone"),
        }
        for name in [name for name, text in about.items() if not _is_text(text)]:
            self.snapshot.unreadable.append(f"cron entry {id_!r} {name}")
            about[name] = _UNKNOWN
        return about

    def _read_cron(self) -> None:
        cron, now = self.snapshot.cron, self.snapshot.taken_at
        for id_, text in pairs(self.answer("cron specs")).items():
            try:
                id_.decode()
                fields = _json(text)
            except (ValueError, RecursionError):
                self.snapshot.unreadable.append(f"cron entry {id_!r}")
            else:
                cron.entries[id_.decode()] = self._about(id_, fields)
        cron.next = _by_name(self._numbers("cron next"))
        cron.last = _by_name(self._numbers("cron last"))
        cron.outcomes = cron_ledger.parse_outcomes(self._numbers("cron outcomes", bars=1))
        cron.registered = len(cron.entries)
        self.snapshot.left_out["entries"] = largest.of_cron(cron)
        for le, value in _by_name(self._numbers("cron lateness")).items():
            try:
                if le == "sum":
                    cron.lateness.sum_seconds = value
                else:
                    cron.lateness.add(le, int(value))
            except ValueError:
                self.snapshot.unreadable.append(f"cron lateness {le.encode()!r}")
        seen = heartbeats.parse(pairs(self.answer("cron processes")), now=now)
        cron.processes = sum(heartbeat.is_working(now) for heartbeat in seen.live.values())
        cron.passed_over = max((it.passed_over_count for it in seen.live.values()), default=0)
        self.snapshot.unreadable.extend(f"cron process {name.encode()!r}" for name in seen.unreadable)


def _json(text: bytes) -> dict[str, Any]:
    loaded = json.loads(text)
    if not isinstance(loaded, dict):
        raise ValueError("not an object")
    return loaded


def _is_text(value: Any) -> bool:
    """Whether it is, and has no half of a character, which JSON can hold and no text."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _refusal(answer: Any) -> str | None:
    return refusal(ResponseError(str(answer))) if isinstance(answer, hiredis.ReplyError) else None


def _by_name(numbers: Mapping[bytes, Any]) -> dict[str, float]:
    return {name.decode(): float(number) for name, number in numbers.items()}


def _info(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}
