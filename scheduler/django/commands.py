"""The base of the commands."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from scheduler.connections.refusals import describe
from scheduler.errors import SchedulerError


class RqCommand(BaseCommand):
    """A command that reports an error in one line and exits with code 2, as `rqmon` does."""

    def execute(self, *args: Any, **options: Any) -> Any:
        """Run it."""
        try:
            return super().execute(*args, **options)
        except SchedulerError as error:
            raise CommandError(str(error), returncode=2) from None
        except RedisError as error:
            raise CommandError(describe(error), returncode=2) from None
