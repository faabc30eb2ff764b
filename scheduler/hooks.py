"""What a framework wants done around jobs: its app registers it, and every worker of this package does it."""

import logging
from typing import Protocol

_log = logging.getLogger(__name__)


class Release(Protocol):
    """Lets go of what a job may have used, such as database connections."""

    def __call__(self, *, before_fork: bool) -> object:
        """Let go; `before_fork` of all that a child process must not share with this one."""


_releases: list[Release] = []


def around_jobs(release: Release) -> None:
    """Have a function called before and after each job where it runs, and before its process is forked."""
    if release not in _releases:
        _releases.append(release)


def release(*, before_fork: bool = False) -> None:
    """Call the registered functions; one that fails is logged, and no job fails for it."""
    for registered in _releases:
        try:
            registered(before_fork=before_fork)
        except Exception:  # noqa: BLE001  # whatever it lets go of may raise anything
            _log.exception("release_failed")
