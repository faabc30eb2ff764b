"""Scrapes of one or more Redis servers at once, each within its time, shared by those who ask together."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import Counter, Summary
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from rq import Queue, Worker
from rq.worker import BaseWorker

from monitoring.exporter import snapshot as snapshots
from monitoring.exporter.collector import Families
from monitoring.exporter.state import Snapshot

# Redis has this long to connect, and for each answer of its greeting; Prometheus waits ten by default.
_SOCKET_TIMEOUT_SECONDS = 1.0
# For everything, the connection included.
_SNAPSHOT_SECONDS = 1.5
# A server that needs longer, as for its name to be found, counts as down in this scrape.
_DEADLINE_SECONDS = 1.6
SHARED_SECONDS = 1.0
REASONS = ("connection", "timeout", "authentication", "unexpected", "key")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """A Redis server, and the labels its samples carry: none where there is but one."""

    client: Redis
    labels: Mapping[str, str]
    queue_class: type[Queue] = Queue
    worker_class: type[BaseWorker] = Worker


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
        self._taken: tuple[float, Families, bool] | None = None
        self._busy: dict[int, Future[tuple[Snapshot | Exception, float]]] = {}
        self._down: dict[int, str] = {}

    def families(self) -> Families:
        """The samples of now, at most a second old."""
        return self._current()[1]

    def healthy(self) -> bool:
        """Whether every server answers."""
        return self._current()[2]

    def _current(self) -> tuple[float, Families, bool]:
        with self._lock:  # who comes meanwhile waits for this one's, and shares it
            if self._taken is None or time.monotonic() - self._taken[0] > SHARED_SECONDS:
                with self._processing.time():
                    families, healthy = self.take()
                self._taken = (time.monotonic(), families, healthy)
            return self._taken

    def take(self) -> tuple[Families, bool]:
        """Read every server now, at the same time."""
        started = time.monotonic()
        families, healthy = Families(self._bounds), True
        for number, server in enumerate(self._servers):
            # One that hung in the last scrape has its thread still: it is not given another.
            if number not in self._busy or self._busy[number].done():
                self._busy[number] = self._threads.submit(_read, server)
        for number, server in enumerate(self._servers):
            part: Families | None = None
            seconds: float | None = None
            with self._told(number, server):
                left = started + _DEADLINE_SECONDS - time.monotonic()
                taken, seconds = self._busy[number].result(max(0.0, left))
                if isinstance(taken, Exception):
                    raise taken
                whole = Families(self._bounds)
                whole.server(server.labels, taken, seconds=seconds)
                for name in taken.unreadable:
                    _log.warning("key_unreadable", extra={"key": name, **server.labels})
                    self._errors.labels("key").inc()
                part = whole
            if part is None:
                healthy, part = False, Families(self._bounds)
                part.server(server.labels, None, seconds=seconds or time.monotonic() - started)
            families.add(part)
        return families, healthy

    @contextmanager
    def _told(self, number: int, server: Server) -> Iterator[None]:
        """Count what went wrong, and log it when it begins and when it ends."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # whatever it is, the other servers are told of
            if isinstance(error, FutureTimeoutError):
                # Its thread may be in a greeting that comes byte by byte, where redis-py waits without end.
                server.client.connection_pool.disconnect()
            reason = _reason(error)
            self._errors.labels(reason).inc()
            if self._down.get(number) != reason:
                trace = error if reason == "unexpected" else None
                told = {"reason": reason, "error": str(error), **server.labels}
                _log.warning("redis_lost", extra=told, exc_info=trace)
            self._down[number] = reason
        else:
            if self._down.pop(number, None):
                _log.info("redis_back", extra=dict(server.labels))


def _read(server: Server) -> tuple[Snapshot | Exception, float]:
    """What the server holds, or why that can't be told; and the seconds it took."""
    started = time.monotonic()
    try:
        taken: Snapshot | Exception = snapshots.take(
            server.client,
            queue_class=server.queue_class,
            worker_class=server.worker_class,
            seconds=_SNAPSHOT_SECONDS,
        )
    except Exception as error:  # noqa: BLE001  # told by who asked
        taken = error
    return taken, time.monotonic() - started


def _reason(error: Exception) -> str:
    if isinstance(error, AuthenticationError) or "NOAUTH" in str(error) or "WRONGPASS" in str(error):
        return "authentication"
    if isinstance(error, RedisTimeoutError | FutureTimeoutError):
        return "timeout"
    return "connection" if isinstance(error, RedisError | OSError) else "unexpected"
