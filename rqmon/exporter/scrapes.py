"""Scrapes of one or more Redis servers at once, each limited in time, shared by simultaneous requests."""

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

# For connecting to Redis, and for each answer of the handshake; Prometheus waits ten by default.
_SOCKET_TIMEOUT_SECONDS = 1.0
# The longest total wait for Redis, connecting included. The exporter's own work does not count: on a loaded
# machine it may end later, even after Prometheus's scrape timeout, though Redis is up.
_SNAPSHOT_SECONDS = 1.5
# A server that needs longer, for example to have its name resolved, counts as down in this scrape.
_DEADLINE_SECONDS = 1.6
# How often to check whether the exporter, which was working, is waiting again.
_LOOK_SECONDS = 0.05
SHARED_SECONDS = 1.0
REASONS = ("connection", "timeout", "authentication", "refused", "unexpected", "key")
# At most this many unreadable keys are named in the log, when they are new.
_NAMED = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether every server could be read, and a sentence for each thing that is wrong with one."""

    readable: bool
    problems: tuple[str, ...]


class Scrapes:
    """Takes snapshots of all servers; requests at the same time, or within a second, share one."""

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
        """Check every server, at the start.

        Raises:
            OldRedisError: A server is too old.
        """
        self._current()
        if self._too_old is not None:
            raise self._too_old

    def families(self) -> list[Family]:
        """Return the current samples, at most a second old."""
        return self._current()[1]

    def health(self) -> Health:
        """Return whether every server could be read, and what they refuse."""
        return self._current()[2]

    def _current(self) -> tuple[float, list[Family], Health]:
        with self._lock:  # whoever comes meanwhile waits for this snapshot, and shares it
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
            # A server that hung in the last scrape still has its thread: it gets no other.
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
            except Exception as error:  # noqa: BLE001  # whatever it is, the other servers are reported
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
        """Return what the server's thread has read, waiting for it if necessary.

        Raises:
            TimeoutError: The thread has waited too long for Redis.
        """
        while (left := _DEADLINE_SECONDS - self._waited[number].seconds()) > 0:
            try:
                return self._busy[number].result(max(left, _LOOK_SECONDS))
            except FutureTimeoutError:
                continue
        return self._busy[number].result(0)

    def _lost(self, number: int, server: Server, error: Exception) -> None:
        """Count what went wrong, and log it when it begins."""
        # A server that refuses may be the old primary: the next scrape reconnects, by name or by Sentinel.
        # And a thread may be in a handshake that comes byte by byte, where redis-py waits without end.
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
    """Return the server's snapshot, or the error, and the seconds it took."""
    started = time.monotonic()
    try:
        taken: Snapshot | Exception = reader.take(
            server.client,
            queue_class=server.queue_class,
            worker_class=server.worker_class,
            seconds=_SNAPSHOT_SECONDS,
            waited=waited,
        )
    except Exception as error:  # noqa: BLE001  # reported by the caller
        taken = error
    return taken, time.monotonic() - started


def _said(error: Exception, server: Server) -> str:
    """Say what is wrong, for whoever asks; the server's address is only in the log."""
    if code := refusal(error):
        return _of(server, meaning(code))
    if isinstance(error, OldRedisError):
        return _of(server, str(error))
    if _reason(error) == "unexpected":
        return _of(server, "The answers of Redis can't be read: the exporter's log has the traceback")
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
