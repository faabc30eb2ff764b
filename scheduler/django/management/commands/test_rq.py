"""`manage.py test_rq --generated_jobs 1000`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from rqmon.demo.queue_load import GENERATED_JOBS, queue_load_test
from scheduler.django.commands import RqCommand


class Command(RqCommand):
    """Prove that the queues work."""

    help = "Queue a health check on each queue, many rate-limited jobs, and a job that reports how they went."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the number of jobs."""
        parser.add_argument(
            "--generated_jobs",
            "--generated-jobs",
            type=int,
            default=GENERATED_JOBS,
            help="How many rate-limited jobs; by default %(default)s.",
        )

    def handle(self, *_args: Any, generated_jobs: int, **_options: Any) -> str:
        """Queue them."""
        if generated_jobs < 1:
            raise CommandError(f"generated_jobs is {generated_jobs}: use 1 or more", returncode=2)
        return queue_load_test(generated_jobs)
