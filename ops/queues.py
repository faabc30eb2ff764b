"""Commands for one queue: purge it, check that somebody works on it."""

import socket
from datetime import UTC, datetime

import click
from rq import Queue, Worker

from ops.terminal import printable, say
from scheduler import UnknownQueueError
from scheduler.queues import QUEUE_STATES, count, purge, shared_connection
from scheduler.serializers import configured
from scheduler.workers import LIVE_SECONDS

_ASK_ABOVE = 100


@click.command("purge-queue")
@click.argument("queue")
@click.option(
    "--queue_state",
    "--queue-state",
    type=click.Choice(QUEUE_STATES),
    default="queued",
    show_default=True,
    help="Which of its jobs.",
)
@click.option("--yes", is_flag=True, help=f"Don't ask before more than {_ASK_ABOVE} jobs are deleted.")
def purge_queue(*, queue: str, queue_state: str, yes: bool) -> None:
    """Delete the jobs of QUEUE in one state, for good."""
    rq_queue = _existing(queue)
    jobs = count(rq_queue, queue_state)
    if jobs > _ASK_ABOVE and not yes:
        click.confirm(
            printable(f"Delete {jobs} {queue_state} jobs of {queue} (--yes does not ask)?"), abort=True
        )
    removed = purge(rq_queue, queue_state)
    say(f"Deleted {removed} {queue_state} {'job' if removed == 1 else 'jobs'} of {queue}.")


@click.command("health-check")
@click.option("--queue", required=True, help="The queue's name.")
@click.option("--this-host", is_flag=True, help="Count only workers of this host, or container.")
def health_check(*, queue: str, this_host: bool) -> None:
    """Exit with 0 when a live worker listens to a queue, with 1 when none does, with 2 without Redis.

    A worker that was killed counts as live for up to a minute.
    """
    now = datetime.now(UTC)
    workers = [
        worker
        for worker in Worker.all(queue=Queue(queue, connection=shared_connection()))
        if worker.last_heartbeat and (now - worker.last_heartbeat).total_seconds() < LIVE_SECONDS
        if not this_host or worker.hostname == socket.gethostname()
    ]
    say(f"{len(workers)} live {'worker listens' if len(workers) == 1 else 'workers listen'} to {queue}.")
    if not workers:
        raise SystemExit(1)


def _existing(name: str) -> Queue:
    connection = shared_connection()
    names = sorted(queue.name for queue in Queue.all(connection=connection))
    if name not in names:
        raise UnknownQueueError(f"There is no queue {name!r}: there are {', '.join(names) or 'none yet'}")
    return Queue(name, connection=connection, serializer=configured())
