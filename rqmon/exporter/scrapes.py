"""Scrapes of one or more Redis servers at once, each within its time, shared by those who ask together."""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from functools import partial

from prometheus_client import Counter, Summary
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from rqmon.exporter.collector import collect, joined
from rqmon.exporter.exposition import Family
from rqmon.exporter.reading import reader
from rqmon.exporter.reading.pipeline import Waited
from rqmon.exporter.reading.snapshot import Snapshot
from rqmon.exporter.servers import Server
from scheduler.connections.refusals import meaning, refusal
from scheduler.errors import OldRedisError

# Redis has this long to connect, and for each answer of its greeting; Prometheus waits ten by default.
_SOCKET_TIMEOUT_SECONDS = 1.0
# It is waited for so long in all, the connection included. The exporter's own work is not in it: on a loaded
# machine that ends later, within the scrape timeout of Prometheus or not, and Redis is up.
_SNAPSHOT_SECONDS = 1.5
# A server that is waited for longer, as for its name to be found, counts as down in this scrape.
_DEADLINE_SECONDS = 1.6
# How often it is looked whether the exporter, which was at work, waits again.
_LOOK_SECONDS = 0.05
SHARED_SECONDS = 1.0
REASONS = ("connection", "timeout", "authentication", "refused", "unexpected", "key")
# So many keys that can't be read are named in the log, when they are new.
_NAMED = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether every server could be read, and a sentence for each thing that is wrong with one."""

    readable: bool
    problems: tuple[str, ...]


class Scrapes:
    """Takes snapshots of all servers; those who ask at the same time, or within a second, share one."""

    def __init__(
        self, servers: list[Server], *, bounds: tuple[float, ...], errors: Counter, processing: Summary
    ) -> None:
        self._servers, self._bounds = servers, bounds
        self._errors, self._processing = errors, processing
        for server in servers:
            server.client.connection_pool.connection_kwargs.update(
                socket_timeout=_SOCKET_TIMEOUT_SECONDS,
                socket_connect_timeout=_SOCKET_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        self._threads = ThreadPoolExecutor(max_workers=len(servers), thread_name_prefix="redis")
        self._lock = threading.Lock()
        self._taken: tuple[float, list[Family], Health] | None = None
        self._busy: dict[int, Future[tuple[Snapshot | Exception, float]]] = {}
        self._waited: dict[int, Waited] = {}
        self._too_old: OldRedisError | None = None
        self._down: dict[int, str] = {}
        self._known: dict[int, frozenset[tuple[str, str]]] = {}

    def require_supported(self) -> None:
        """Look at every server, for the start.

        Raises:
            OldRedisError: One is too old.
        """
        self._current()
        if self._too_old is not None:
            raise self._too_old

    def families(self) -> list[Family]:
        """The samples of now, at most a second old."""
        return self._current()[1]

    def health(self) -> Health:
        """Whether every server could be read, and what they refuse."""
        return self._current()[2]

    def _current(self) -> tuple[float, list[Family], Health]:
        with self._lock:  # who comes meanwhile waits for this one's, and shares it
            if self._taken is None or time.monotonic() - self._taken[0] > SHARED_SECONDS:
                with self._processing.time():
                    families, health = self.take()
                self._taken = (time.monotonic(), families, health)
            return self._taken

    def take(self) -> tuple[list[Family], Health]:
        """Read every server now, at the same time."""
        started = time.monotonic()
        parts: list[list[Family]] = []
        readable, problems = True, []
        for number, server in enumerate(self._servers):
            # One that hung in the last scrape has its thread still: it is not given another.
            if number not in self._busy or self._busy[number].done():
                self._waited[number] = Waited()
                self._busy[number] = self._threads.submit(_read, server, self._waited[number])
        for number, server in enumerate(self._servers):
            families_of = partial(collect, base=server.labels, bounds=self._bounds)
            seconds: float | None = None
            try:
                taken, seconds = self._result(number)
                if isinstance(taken, Exception):
                    raise taken
                parts.append(families_of(taken, seconds=seconds))
            except Exception as error:  # noqa: BLE001  # whatever it is, the other servers are told of
                self._lost(number, server, error)
                readable = False
                took = seconds or time.monotonic() - started
                parts.append(families_of(None, seconds=took, refusal=refusal(error)))
                problems.append(_said(error, server))
            else:
                self._told(number, server, taken)
                problems += [_of(server, meaning(code)) for code in taken.refuses]
        return joined(parts), Health(readable, tuple(problems))

    def _result(self, number: int) -> tuple[Snapshot | Exception, float]:
        """What the server's thread read, once it is there.

        Raises:
            TimeoutError: It waits for Redis, and has for too long.
        """
        while (left := _DEADLINE_SECONDS - self._waited[number].seconds()) > 0:
            try:
                return self._busy[number].result(max(left, _LOOK_SECONDS))
            except FutureTimeoutError:
                continue
        return self._busy[number].result(0)

    def _lost(self, number: int, server: Server, error: Exception) -> None:
        """Count what went wrong, and log it when it begins."""
        # Whoever refuses may be the old primary: the next scrape connects again, by name or by Sentinel.
        # And a thread may be in a greeting that comes byte by byte, where redis-py waits without end.
        server.client.connection_pool.disconnect()
        if isinstance(error, OldRedisError):
            self._too_old = error
        reason = _reason(error)
        self._errors.labels(reason).inc()
        if self._down.get(number) != reason:
            trace = error if reason == "unexpected" else None
            told = {"reason": reason, "error": str(error), **server.labels}
            _log.warning("redis_lost", extra=told, exc_info=trace)
        self._down[number] = reason

    def _told(self, number: int, server: Server, taken: Snapshot) -> None:
        """Count what could not be read of a server that answered, and log it when it is new."""
        if self._down.pop(number, None):
            _log.info("redis_back", extra=dict(server.labels))
        if "READONLY" in taken.refuses:
            server.client.connection_pool.disconnect()  # as in _lost
        self._errors.labels("key").inc(len(taken.unreadable))
        self._errors.labels("refused").inc(len(taken.refused))
        events = frozenset(
            [
                *(("redis_refuses", code) for code in taken.refuses),
                *(("key_refused", name) for name in taken.refused),
                *(("key_unreadable", name) for name in taken.unreadable),
            ]
        )
        new = sorted(events - self._known.get(number, frozenset()))
        self._known[number] = events
        for event, name in new[:_NAMED]:
            _log.warning(event, extra={"key": name, **server.labels})
        if len(new) > _NAMED:
            _log.warning("keys_unreadable", extra={"more": len(new) - _NAMED, **server.labels})


def _read(server: Server, waited: Waited) -> tuple[Snapshot | Exception, float]:
    """What the server holds, or why that can't be told; and the seconds it took."""
    started = time.monotonic()
    try:
        taken: Snapshot | Exception = reader.take(
            server.client,
            queue_class=server.queue_class,
            worker_class=server.worker_class,
            seconds=_SNAPSHOT_SECONDS,
            waited=waited,
        )
    except Exception as error:  # noqa: BLE001  # told by who asked
        taken = error
    return taken, time.monotonic() - started


def _said(error: Exception, server: Server) -> str:
    """What is wrong, for whoever asks: without an address, which is in the log."""
    if code := refusal(error):
        return _of(server, meaning(code))
    if isinstance(error, OldRedisError):
        return _of(server, str(error))
    if _reason(error) == "unexpected":
        return _of(server, "What Redis answers can't be read: the exporter's log has the traceback")
    return _of(server, "Redis does not answer")


def _of(server: Server, text: str) -> str:
    return ": ".join([*server.labels.values(), text])


def _reason(error: Exception) -> str:
    code = refusal(error)
    if code == "NOAUTH":
        return "authentication"
    if code is not None or isinstance(error, OldRedisError):
        return "refused"
    if isinstance(error, RedisTimeoutError | FutureTimeoutError):
        return "timeout"
    return "connection" if isinstance(error, RedisError | OSError) else "unexpected"
