"""Checks whether a queue has live workers."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import ResponseError
from rq import Queue
from rq.utils import utcparse
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from scheduler.connections.refusals import refusal
from scheduler.cron.clock import server_time
from scheduler.queues import shared_connection
from scheduler.serializers import check_text
from scheduler.workers.strategies import LIVE_SECONDS


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registered worker reports; None if it is missing or can't be read."""

    host: str | None
    pid: str | None
    heartbeat: datetime | None


def registrations(queue: Queue) -> Iterator[Registration]:
    """Yield the workers registered for a queue.

    Not by `Worker.all`, which reads none of them if it can't read a field of one.

    Raises:
        redis.RedisError: Redis does not answer, or refuses.
    """
    connection: Any = queue.connection  # redis-py types every answer as an awaitable too
    keys = connection.smembers(WORKERS_BY_QUEUE_KEY % queue.name)
    with connection.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hmget(key, "hostname", "pid", "last_heartbeat")
        answers = pipe.execute(raise_on_error=False) if keys else []
    for answer in answers:
        if isinstance(answer, ResponseError):
            if refusal(answer):
                raise answer
        elif any(answer):  # otherwise the worker is gone
            host, pid, heartbeat = (None if it is None else it.decode(errors="replace") for it in answer)
            seen = None
            with contextlib.suppress(ValueError):
                seen = utcparse(heartbeat) if heartbeat else None
            yield Registration(host, pid, seen)


def live_workers(queue_name: str, *, this_host: bool) -> int:
    """Count the live workers that listen to a queue; a killed one counts for up to a minute.

    A worker dates its heartbeat by its host's clock. Workers on this host are measured by the same clock,
    others by that of Redis.

    Args:
        queue_name: The queue.
        this_host: Count only workers on this host or in this container.

    Raises:
        ArgumentError: Redis can't store the name.
        redis.RedisError: Redis does not answer.
    """
    check_text("The queue", queue_name)
    connection = shared_connection()
    now = datetime.now(UTC) if this_host else server_time(connection)
    return sum(
        1
        for worker in registrations(Queue(queue_name, connection=connection))
        if worker.heartbeat and (now - worker.heartbeat).total_seconds() < LIVE_SECONDS
        if not this_host or worker.host == socket.gethostname()
    )


def live_workers_sentence(queue_name: str, workers: int) -> str:
    """Say the number in a sentence."""
    return f"{workers} live {'worker listens' if workers == 1 else 'workers listen'} to {queue_name}."
