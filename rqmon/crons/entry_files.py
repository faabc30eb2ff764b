"""A user's file of cron entries: a Python program whose function `schedule_jobs` registers them."""

import contextlib
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from redis.exceptions import RedisError

from scheduler import CronError, SchedulerError
from scheduler.cron.entries import CronEntry
from scheduler.cron.store.registry import declaring

# Looked for in the current folder if no file is named.
DEFAULT_FILE = "cron-scheduler.py"


def load(file: Path) -> Callable[[], None]:
    """Load the file's `schedule_jobs`; it may import modules next to it, as when the file is run.

    Raises:
        CronError: The file can't be run, or has no such function. The returned function may raise it too.
    """
    sys.path.insert(0, str(file.parent.resolve()))
    with _one_error(file):
        schedule_jobs = runpy.run_path(str(file)).get("schedule_jobs")
    if not callable(schedule_jobs):
        raise CronError(
            f"{file} can't be loaded: it has no function schedule_jobs, which registers the entries"
        )

    def schedule() -> None:
        with _one_error(file):
            schedule_jobs()

    return schedule


def declared(file: Path) -> list[CronEntry]:
    """Return the entries that the file registers; none is written.

    Raises:
        CronError: As `load`.
    """
    with declaring() as entries:
        load(file)()
    return entries


@contextlib.contextmanager
def _one_error(file: Path) -> Iterator[None]:
    try:
        yield
    except (SchedulerError, RedisError):
        raise
    except (Exception, SystemExit) as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise CronError(f"{file} can't be loaded: {cause}") from error
