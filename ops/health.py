"""Whether a service of the stack answers, asked over the network."""

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, Worker

from ops.environment import StackConfig
from ops.stack import REDIS, Service

_TIMEOUT_SECONDS = 2.0


def problem(service: Service, *, pid: int, config: StackConfig) -> str | None:
    """What is wrong with a service whose process runs; None when it is well.

    Args:
        service: The service; one that listens nowhere and runs no queue is well when its process runs.
        pid: Its process; a worker must have registered itself in Redis with it.
        config: Where the service is.
    """
    if service == REDIS:
        return None if redis_answers(config) else "does not answer PING"
    if service.queue:
        return None if _is_registered(pid, service.queue, config) else "is not registered in Redis yet"
    if service.health_path:
        return _http_problem(f"{service.address(config)}{service.health_path}")
    return None


def problems(running: dict[Service, int], config: StackConfig) -> dict[Service, str | None]:
    """What is wrong with each of several services, given with their processes; asked at the same time."""
    with ThreadPoolExecutor(max_workers=len(running) or 1) as pool:
        asked = {s: pool.submit(problem, s, pid=pid, config=config) for s, pid in running.items()}
        return {service: answer.result() for service, answer in asked.items()}


def redis_answers(config: StackConfig) -> bool:
    """Whether this copy's Redis takes the password and answers."""
    try:
        with _redis(config) as connection:
            return bool(connection.ping())
    except RedisError:
        return False


def _is_registered(pid: int, queue: str, config: StackConfig) -> bool:
    try:
        with _redis(config) as connection:
            workers = Worker.all(queue=Queue(queue, connection=connection))
    except RedisError:
        return False
    return any(worker.pid == pid and worker.hostname == socket.gethostname() for worker in workers)


def _http_problem(url: str) -> str | None:
    try:
        status = httpx.get(url, timeout=_TIMEOUT_SECONDS, trust_env=False).status_code
    except httpx.HTTPError as error:
        return f"{url} does not answer ({type(error).__name__})"
    return None if status == httpx.codes.OK else f"{url} answers {status}"


@contextlib.contextmanager
def _redis(config: StackConfig) -> Iterator[Redis]:
    connection = Redis(
        host="127.0.0.1",
        port=int(config.variables["REDIS_PORT"]),
        password=config.variables["REDIS_PASSWORD"],
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield connection
    finally:
        connection.close()
