"""The app, `scheduler.django` in INSTALLED_APPS."""

from django.apps import AppConfig
from django.db import close_old_connections, connections

from scheduler import hooks


def release_connections(*, before_fork: bool) -> None:
    """Close database connections: around a job the old ones, as around a request; before a fork all.

    One with an open transaction is left alone: it is a test's, in which a job runs.
    """
    if before_fork:
        connections.close_all()
    else:
        close_old_connections()


class RqmonConfig(AppConfig):
    """Makes this process's workers close database connections around each job."""

    name = "scheduler.django"
    label = "rqmon"
    verbose_name = "RQ jobs"

    def ready(self) -> None:
        """Register with the workers."""
        hooks.around_jobs(release_connections)
