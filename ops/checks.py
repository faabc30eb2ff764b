"""Whether somebody works on a queue."""

import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq.utils import utcparse
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from scheduler.queues import shared_connection
from scheduler.refusals import refusal
from scheduler.workers import LIVE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A worker that listens to a queue; a field that can't be read is empty, and its age infinite."""

    pid: str
    host: str
    heartbeat_age_seconds: float

    @property
    def is_live(self) -> bool:
        """Whether it beats: a busy worker does every 30 s."""
        return self.heartbeat_age_seconds < LIVE_SECONDS


def listeners(connection: Redis, queue_name: str) -> list[Listener]:
    """The workers of a queue. RQ's own reader fails for all of them when one has an odd field.

    Raises:
        redis.RedisError: Redis does not answer, or refuses.
    """
    client: Any = connection
    with client.pipeline(transaction=False) as pipeline:
        for key in client.smembers(WORKERS_BY_QUEUE_KEY % queue_name):
            pipeline.hmget(key, "pid", "hostname", "last_heartbeat")
        found = pipeline.execute(raise_on_error=False)
    for answer in found:
        if isinstance(answer, RedisError) and refusal(answer):
            raise answer
    return [_listener(*fields) for fields in found if isinstance(fields, list)]


def _listener(pid: bytes | None, host: bytes | None, heartbeat: bytes | None) -> Listener:
    try:
        age = (datetime.now(UTC) - utcparse((heartbeat or b"").decode())).total_seconds()
    except (ValueError, OverflowError):
        age = float("inf")
    return Listener(
        pid=(pid or b"").decode(errors="replace"),
        host=(host or b"").decode(errors="replace"),
        heartbeat_age_seconds=age,
    )


def live_workers(queue_name: str, *, this_host: bool) -> int:
    """How many live workers listen to a queue; one that was killed counts for up to a minute.

    Args:
        queue_name: Which queue.
        this_host: Count only workers of this host, or container.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    return sum(
        worker.is_live and (not this_host or worker.host == socket.gethostname())
        for worker in listeners(shared_connection(), queue_name)
    )


def live_workers_sentence(queue_name: str, workers: int) -> str:
    """The number for people."""
    return f"{workers} live {'worker listens' if workers == 1 else 'workers listen'} to {queue_name}."
