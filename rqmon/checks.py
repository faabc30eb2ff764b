"""Checks whether a queue has live workers."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError
from rq import Queue
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from rqmon.thresholds import OVERDUE_WITH_SECONDS_LEFT
from scheduler.connections.refusals import refusal
from scheduler.queues import shared_connection
from scheduler.serializers import check_text


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registered worker reports; None if it is missing or can't be read.

    `is_live` says whether its heartbeat came in time, by its own interval.
    """

    host: str | None
    pid: str | None
    is_live: bool


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
            pipe.hmget(key, "hostname", "pid")
            pipe.pttl(key)
        answers = pipe.execute(raise_on_error=False) if keys else []
    for answer, life in zip(answers[::2], answers[1::2], strict=True):
        for error in (answer, life):
            if isinstance(error, ResponseError) and refusal(error):
                raise error
        if not isinstance(answer, ResponseError) and any(answer):  # otherwise the worker is gone
            host, pid = (None if it is None else it.decode(errors="replace") for it in answer)
            yield Registration(host, pid, life >= OVERDUE_WITH_SECONDS_LEFT * 1000)


def live_workers(queue_name: str, *, this_host: bool) -> int:
    """Count the live workers that listen to a queue.

    A killed one counts for up to a minute, an idle plain `rq worker` for up to eight: its heartbeats are
    rare.

    Args:
        queue_name: The queue.
        this_host: Count only workers on this host or in this container.

    Raises:
        ArgumentError: Redis can't store the name.
        redis.RedisError: Redis does not answer.
    """
    check_text("The queue", queue_name)
    return sum(
        worker.is_live and (not this_host or worker.host == socket.gethostname())
        for worker in registrations(Queue(queue_name, connection=shared_connection()))
    )


def live_workers_sentence(queue_name: str, workers: int) -> str:
    """Say the number in a sentence."""
    return f"{workers} live {'worker listens' if workers == 1 else 'workers listen'} to {queue_name}."
