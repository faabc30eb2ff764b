"""`manage.py purge_queue long-running --queue_state failed`."""

from argparse import ArgumentParser
from typing import Any

from rq import Queue

from scheduler.django.commands import RqCommand
from scheduler.queues import QUEUE_STATES, purge, shared_connection
from scheduler.serializers import check_text, configured


class Command(RqCommand):
    """Delete jobs, without asking."""

    help = "Delete the jobs of a queue in one state, for good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the queue's name and the jobs' state."""
        parser.add_argument("queue_name", help="Which queue.")
        parser.add_argument(
            "--queue_state",
            "--queue-state",
            choices=QUEUE_STATES,
            default="queued",
            help="The state of the jobs.",
        )

    def handle(self, *_args: Any, queue_name: str, queue_state: str, **_options: Any) -> str:
        """Delete them, and say how many there were."""
        check_text("queue_name", queue_name)
        queue = Queue(queue_name, connection=shared_connection(), serializer=configured())
        removed = purge(queue, queue_state)
        jobs = "job" if removed == 1 else "jobs"
        return str(self.style.SUCCESS(f"Deleted {removed} {queue_state} {jobs} of {queue_name}."))
