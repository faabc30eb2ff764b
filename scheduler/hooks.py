"""What a framework wants done around jobs: its app registers it, and every worker here does it."""

import logging
from typing import Protocol

_log = logging.getLogger(__name__)


class Release(Protocol):
    """Lets go of what a job may have used, such as database connections."""

    def __call__(self, *, before_fork: bool) -> object:
        """Let go; with `before_fork`, of everything that a child process must not share."""


_releases: list[Release] = []


def around_jobs(release: Release) -> None:
    """Register a function, called before and after each job and before a job's process is forked."""
    if release not in _releases:
        _releases.append(release)


def release(*, before_fork: bool = False) -> None:
    """Call the registered functions; a failure is logged, and fails no job."""
    for registered in _releases:
        try:
            registered(before_fork=before_fork)
        except Exception:  # noqa: BLE001  # releasing may raise anything
            _log.exception("release_failed")
