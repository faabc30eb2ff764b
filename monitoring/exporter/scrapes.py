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

# Redis has this long to connect, and for each answer; Prometheus waits ten seconds by default.
_SOCKET_TIMEOUT_SECONDS = 1.0
# A server that needs longer, as for its name to be found, counts as down in this scrape.
_DEADLINE_SECONDS = 1.6
SHARED_SECONDS = 1.0
REASONS = ("connection", "timeout", "authentication", "key")

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
        self._busy: dict[int, Future[Snapshot]] = {}
        self._down: set[int] = set()

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
                self._busy[number] = self._threads.submit(
                    snapshots.take,
                    server.client,
                    queue_class=server.queue_class,
                    worker_class=server.worker_class,
                )
        for number, server in enumerate(self._servers):
            taken: Snapshot | None = None
            with self._told(number, server):
                taken = self._busy[number].result(max(0.0, started + _DEADLINE_SECONDS - time.monotonic()))
                for name in taken.unreadable:
                    _log.warning("key_unreadable", extra={"key": name, **server.labels})
                    self._errors.labels("key").inc()
            families.server(server.labels, taken, seconds=time.monotonic() - started)
            healthy = healthy and taken is not None
        return families, healthy

    @contextmanager
    def _told(self, number: int, server: Server) -> Iterator[None]:
        """Count what went wrong, and log it when it begins and when it ends."""
        try:
            yield
        except (RedisError, OSError, FutureTimeoutError) as error:
            timeout = isinstance(error, RedisTimeoutError | FutureTimeoutError)
            reason = "timeout" if timeout else "connection"
            if isinstance(error, AuthenticationError) or "NOAUTH" in str(error) or "WRONGPASS" in str(error):
                reason = "authentication"
            self._errors.labels(reason).inc()
            if number not in self._down:
                _log.warning("redis_lost", extra={"reason": reason, "error": str(error), **server.labels})
            self._down.add(number)
        else:
            if number in self._down:
                _log.info("redis_back", extra=dict(server.labels))
            self._down.discard(number)
