"""The heartbeats of cron processes: which run, whether they get their work done, what they can't queue."""

import json
import logging
import math
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

from redis import Redis
from redis.exceptions import ResponseError

from scheduler.connections.refusals import refusal
from scheduler.cron.clock import from_answer, server_time

PROCESSES = "rqmon:cron:processes"  # hash: name -> JSON, for processes that run or recently ran
COMMANDS = {"cron processes": ("HGETALL", PROCESSES)}
HEARTBEAT_SECONDS = 5.0
# A process whose heartbeat is older is not counted as live.
LIVE_SECONDS = 3 * HEARTBEAT_SECONDS

# A thousand entries that can't be queued must not make a heartbeat of a megabyte.
_REASONS_KEPT = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a cron process last reported; times are Unix times by the clock of Redis.

    Attributes:
        host: The name of its host.
        pid: Its process id there; a process of another container may have the same.
        version: Its program's version.
        started_at: When it started.
        heartbeat: When it reported this.
        worked_at: Its last heartbeat before which it had got its work done; None if there was none.
        trouble: One sentence about what keeps it from its work; empty without any.
        passed_over: Why it can't queue some entries, by id, at most 20 of them.
        passed_over_count: How many entries those are.
    """

    host: str
    pid: int
    version: str = ""
    started_at: float
    heartbeat: float
    worked_at: float | None = None
    trouble: str = ""
    passed_over: Mapping[str, str] = field(default_factory=dict)
    passed_over_count: int = 0

    def is_live(self, now: float) -> bool:
        """Whether the process is alive at that time; one whose heartbeat is in the future is not."""
        return abs(now - self.heartbeat) < LIVE_SECONDS

    def is_working(self, now: float) -> bool:
        """Whether it also queues due jobs; it does not if it can't write to Redis or is kept waiting."""
        return (
            self.is_live(now)
            and self.worked_at is not None
            and abs(self.heartbeat - self.worked_at) < LIVE_SECONDS
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """The heartbeats in Redis: the live processes by name, and the names of those that can't be read."""

    live: Mapping[str, Heartbeat]
    unreadable: tuple[str, ...]
    gone: tuple[bytes, ...]


def parse(answer: Mapping[bytes, bytes], *, now: float) -> Seen:
    """Read the answer to COMMANDS, as of `now`, a Unix time by the clock of Redis."""
    live, unreadable, gone = {}, [], []
    for name, stored in answer.items():
        heartbeat = _loaded(stored)
        if heartbeat is None:
            unreadable.append(name.decode(errors="backslashreplace"))
        elif heartbeat.is_live(now):
            live[name.decode(errors="backslashreplace")] = heartbeat
        else:
            gone.append(name)
    return Seen(live, tuple(unreadable), tuple(gone))


def seen(connection: Redis) -> tuple[Seen, float]:
    """Return the heartbeats in Redis, and its time."""
    pipe: Any
    with connection.pipeline(transaction=False) as pipe:
        pipe.hgetall(PROCESSES)
        pipe.time()
        answer, time_ = pipe.execute(raise_on_error=False)
    if isinstance(time_, Exception):
        raise time_
    now = from_answer(time_).timestamp()
    if isinstance(answer, ResponseError):
        if refusal(answer):
            raise answer
        return Seen({}, (PROCESSES,), ()), now
    return parse(answer, now=now), now


def live_processes(connection: Redis) -> dict[str, dict[str, Any]]:
    """Return the live cron processes by name: the attributes of `Heartbeat`, and `working`."""
    found, now = seen(connection)
    return {name: {**asdict(it), "working": it.is_working(now)} for name, it in found.live.items()}


class Heart:
    """Writes the heartbeats of this process.

    Attributes:
        trouble: See `Heartbeat`.
    """

    def __init__(self, connection: Redis, *, version: str) -> None:
        self.trouble = ""
        self._has_worked = False
        self._worked_at: float | None = None
        self._connection: Any = connection
        self._version = version
        self._host, self._pid = socket.gethostname(), os.getpid()
        # Containers share host names and process ids.
        self._name = f"{self._host}:{self._pid}:{uuid4().hex[:12]}"
        self._started_at: float | None = None
        self._due = 0.0

    def hurry(self) -> None:
        """Make the next heartbeat due at once."""
        self._due = 0.0

    def worked(self) -> None:
        """Note that the process has got its work done."""
        self._has_worked, self.trouble = True, ""

    def beat(self, passed_over: Mapping[str, str]) -> bool:
        """Write a heartbeat if one is due, and remove those of dead processes; return whether one was due."""
        if time.monotonic() < self._due:
            return False
        self._due = time.monotonic() + HEARTBEAT_SECONDS
        now = server_time(self._connection).timestamp()
        if self._started_at is None:
            self._started_at = now
        if self._has_worked:
            self._worked_at, self._has_worked = now, False
        about = Heartbeat(
            host=self._host,
            pid=self._pid,
            version=self._version,
            started_at=self._started_at,
            heartbeat=now,
            worked_at=self._worked_at,
            trouble=self.trouble,
            passed_over=dict(list(passed_over.items())[:_REASONS_KEPT]),
            passed_over_count=len(passed_over),
        )
        try:
            gone = parse(self._connection.hgetall(PROCESSES), now=now).gone
            with self._connection.pipeline() as pipe:
                pipe.hset(PROCESSES, self._name, json.dumps(asdict(about)))
                if others := [name for name in gone if name != self._name.encode()]:
                    pipe.hdel(PROCESSES, *others)
                pipe.execute()
        except ResponseError as error:
            if refusal(error):
                raise
            # The key is of the wrong type: slots are queued all the same.
            _log.error("cron_heartbeat_failed", extra={"error": f"{PROCESSES}: {error}"})
        return True

    def stop(self) -> None:
        """Remove this process's heartbeat."""
        self._connection.hdel(PROCESSES, self._name)


def _loaded(stored: bytes) -> Heartbeat | None:
    """Read a stored heartbeat, also an older version's; None if it can't be read."""
    try:
        found = json.loads(stored)
        worked_at = found.get("worked_at", found["heartbeat"])  # older versions lack it: all were working
        heartbeat = Heartbeat(
            host=str(found["host"]),
            pid=int(found["pid"]),
            version=str(found.get("version", "")),
            started_at=float(found["started_at"]),
            heartbeat=float(found["heartbeat"]),
            worked_at=None if worked_at is None else float(worked_at),
            trouble=str(found.get("trouble", "")),
            passed_over={str(id_): str(why) for id_, why in dict(found.get("passed_over", {})).items()},
            passed_over_count=int(found.get("passed_over_count", 0)),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    times = (heartbeat.started_at, heartbeat.heartbeat, heartbeat.worked_at or 0.0)
    return heartbeat if all(0 <= it < 1e11 and math.isfinite(it) for it in times) else None
