"""Commands for one queue: purge it, and check that it has a worker."""

from typing import Any

import click
from rq import Queue

from rqmon.checks import live_workers, live_workers_sentence
from rqmon.terminal import printable, say
from scheduler.queues import QUEUE_STATES, count, purge, shared_connection
from scheduler.serializers import check_text, configured

_ASK_ABOVE = 100


@click.command("purge-queue")
@click.argument("queue")
@click.option(
    "--queue_state",
    "--queue-state",
    type=click.Choice(QUEUE_STATES),
    default="queued",
    show_default=True,
    help="The state of the jobs.",
)
@click.option("--yes", is_flag=True, help=f"Don't ask before more than {_ASK_ABOVE} jobs are deleted.")
def purge_queue(*, queue: str, queue_state: str, yes: bool) -> None:
    """Delete the jobs of QUEUE in one state, for good."""
    check_text("The queue", queue)
    connection: Any = shared_connection()  # redis-py types every answer as an awaitable too
    rq_queue = Queue(queue, connection=connection, serializer=configured())
    jobs = count(rq_queue, queue_state)
    if jobs > _ASK_ABOVE and not yes:
        click.confirm(
            printable(f"Delete {jobs} {queue_state} jobs of {queue} (--yes does not ask)?"), abort=True
        )
    removed = purge(rq_queue, queue_state)
    say(f"Deleted {removed} {queue_state} {'job' if removed == 1 else 'jobs'} of {queue}.")
    keys = [key.decode(errors="backslashreplace") for key in connection.smembers(Queue.redis_queues_keys)]
    names = sorted(key.removeprefix(Queue.redis_queue_namespace_prefix) for key in keys)
    if queue not in names:
        say(f"No job was ever in {queue!r}; queues that had one: {', '.join(names) or 'none'}.", err=True)


@click.command("health-check")
@click.option("--queue", required=True, help="The queue's name.")
@click.option("--this-host", is_flag=True, help="Count only workers on this host or in this container.")
def health_check(*, queue: str, this_host: bool) -> None:
    """Exit with 0 if a live worker listens to a queue, 1 if none does, 2 if Redis can't be asked.

    A killed worker counts as live for up to a minute, an idle plain rq worker for up to eight.
    """
    workers = live_workers(queue, this_host=this_host)
    say(live_workers_sentence(queue, workers))
    if not workers:
        raise SystemExit(1)
