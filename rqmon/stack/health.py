"""Checks over the network whether the stack's services are healthy."""

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue

from rqmon.checks import registrations
from rqmon.stack.environment import StackConfig
from rqmon.stack.services import CRON, PROMETHEUS, REDIS, Service
from scheduler.connections.refusals import describe
from scheduler.cron.heartbeats import seen

_TIMEOUT_SECONDS = 2.0
# A service that ended this often recently is in a loop, whatever it answers, until it has run for a minute,
# and twice as long as between its ends.
RESTARTS = 3
LATELY_SECONDS = 600.0
STEADY_SECONDS = 60.0
# Prometheus itself is slow to notice that it can't write. It scrapes every 5 s, and stores each scrape at
# once.
_STORED_SECONDS = 30.0
_IMPATIENT: dict[str, Any] = {
    "socket_timeout": _TIMEOUT_SECONDS,
    "socket_connect_timeout": _TIMEOUT_SECONDS,
    "retry": Retry(NoBackoff(), 0),
}


def problem(service: Service, *, pid: int, config: StackConfig) -> str | None:
    """Say what is wrong with a service whose process runs; None if it is healthy.

    Args:
        service: The service; one that neither listens nor serves a queue is healthy if its process runs.
        pid: Its process id, with which a worker must be registered in Redis and the cron process have
            heartbeats.
        config: Gives the service's address.
    """
    if service == REDIS:
        error = redis_error(config)
        return None if error is None else describe(error)
    if service.queue:
        return _worker_problem(pid, service.queue, config)
    if service == CRON:
        return _cron_problem(pid, config)
    if service.health_path and (wrong := _http_problem(f"{service.address(config)}{service.health_path}")):
        return wrong
    return storing_problem(config) if service == PROMETHEUS else None


def problems(running: dict[Service, int], config: StackConfig) -> dict[Service, str | None]:
    """Say what is wrong with each of several services, given with their processes; checked in parallel."""
    with ThreadPoolExecutor(max_workers=len(running) or 1) as pool:
        asked = {s: pool.submit(problem, s, pid=pid, config=config) for s, pid in running.items()}
        return {service: answer.result() for service, answer in asked.items()}


def redis_error(config: StackConfig) -> RedisError | None:
    """Return the error with which this copy's Redis refuses the password or a write; None if it works."""
    variables = config.variables
    with _connected(
        Redis(
            host="127.0.0.1",
            port=int(variables["REDIS_PORT"]),
            password=variables["REDIS_PASSWORD"],
            **_IMPATIENT,
        )
    ) as connection:
        try:
            # A write that changes nothing: a full Redis, or a replica, still answers PING.
            connection.setrange("rqmon:status", 0, "")
        except RedisError as error:
            return error
    return None


def storing_problem(config: StackConfig) -> str | None:
    """Say if Prometheus stores nothing, as when its disk is full; None if all is well.

    If it has not stored anything yet since it was started, that is not a problem.
    """
    url = f"http://127.0.0.1:{config.variables['PROMETHEUS_PORT']}/api/v1"
    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            query = {"query": "time() - max(timestamp(up))"}
            found = client.get(f"{url}/query", params=query).json()["data"]["result"]
            if found:
                seconds = float(found[0]["value"][1])
            else:  # a query finds samples at most five minutes old
                started = client.get(f"{url}/status/runtimeinfo").json()["data"]["startTime"]
                seconds = (datetime.now(UTC) - datetime.fromisoformat(started[:19] + "Z")).total_seconds()
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return f"does not answer queries ({type(error).__name__})"
    return None if seconds < _STORED_SECONDS else f"has stored nothing for {seconds:.0f} s: is its disk full?"


def _worker_problem(pid: int, queue: str, config: StackConfig) -> str | None:
    try:
        with _connected(Redis.from_url(config.variables["RQ_REDIS_URL"], **_IMPATIENT)) as connection:
            found = list(registrations(Queue(queue, connection=connection)))
    except RedisError as error:
        return describe(error)
    # A dead process may have had the same pid.
    ours = [it for it in found if (it.pid, it.host) == (str(pid), socket.gethostname())]
    if not ours:
        return "is not registered in Redis yet"
    if any(it.is_live for it in ours):
        return None
    return "has had no heartbeat in Redis for a minute: it hangs, or can't write there"


def _cron_problem(pid: int, config: StackConfig) -> str | None:
    try:
        with _connected(Redis.from_url(config.variables["RQ_REDIS_URL"], **_IMPATIENT)) as connection:
            found, now = seen(connection)
    except RedisError as error:
        return describe(error)
    ours = [it for it in found.live.values() if it.pid == pid and it.host == socket.gethostname()]
    if not ours:
        return "has no heartbeat in Redis yet"
    latest = max(ours, key=lambda it: it.heartbeat)  # a dead process may have had the same pid
    return None if latest.is_working(now) else f"queues nothing: {latest.trouble or 'it does not say why'}"


def _http_problem(url: str) -> str | None:
    try:
        status = httpx.get(url, timeout=_TIMEOUT_SECONDS, trust_env=False).status_code
    except httpx.HTTPError as error:
        return f"{url} does not answer ({type(error).__name__})"
    return None if status == httpx.codes.OK else f"{url} answers {status}"


@contextlib.contextmanager
def _connected(connection: Redis) -> Iterator[Redis]:
    try:
        yield connection
    finally:
        connection.close()
