"""Whether somebody works on a queue."""

import socket
from datetime import UTC, datetime

from rq import Queue, Worker

from scheduler.queues import shared_connection
from scheduler.workers import LIVE_SECONDS


def live_workers(queue_name: str, *, this_host: bool) -> int:
    """How many live workers listen to a queue; one that was killed counts for up to a minute.

    Args:
        queue_name: Which queue.
        this_host: Count only workers of this host, or container.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    now = datetime.now(UTC)
    return sum(
        1
        for worker in Worker.all(queue=Queue(queue_name, connection=shared_connection()))
        if worker.last_heartbeat and (now - worker.last_heartbeat).total_seconds() < LIVE_SECONDS
        if not this_host or worker.hostname == socket.gethostname()
    )


def live_workers_sentence(queue_name: str, workers: int) -> str:
    """The number for people."""
    return f"{workers} live {'worker listens' if workers == 1 else 'workers listen'} to {queue_name}."
