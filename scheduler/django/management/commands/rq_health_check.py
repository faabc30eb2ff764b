"""`manage.py rq_health_check --queue short-running`."""

import sys
from argparse import ArgumentParser
from typing import Any

from rqmon.checks import live_workers, live_workers_sentence
from scheduler.django.commands import RqCommand


class Command(RqCommand):
    """Tell whether a queue has a worker."""

    help = "Exit with 0 if a live worker listens to a queue, 1 if none does, 2 if Redis can't be asked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the queue's name."""
        parser.add_argument("--queue", required=True, help="The queue's name.")
        parser.add_argument(
            "--this-host", action="store_true", help="Count only workers on this host or in this container."
        )

    def handle(self, *_args: Any, queue: str, this_host: bool, **_options: Any) -> None:
        """Count them."""
        workers = live_workers(queue, this_host=this_host)
        self.stdout.write(live_workers_sentence(queue, workers))
        if not workers:
            sys.exit(1)
