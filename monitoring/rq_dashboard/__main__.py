"""`python -m monitoring.rq_dashboard`: serve the dashboard until SIGTERM or SIGINT."""

import logging
import signal
import sys

import waitress

from monitoring.rq_dashboard.app import create_app
from monitoring.rq_dashboard.settings import DashboardSettings
from ops.entry_point import logged_process
from scheduler.errors import ConfigError

# While Redis is frozen each open tab keeps a thread for 2 s of every 5: enough for a team, and bounded.
_THREADS = 16

_log = logging.getLogger(__name__)


def serve(settings: DashboardSettings) -> None:
    """Serve until SIGTERM or SIGINT; requests that are being answered are finished first.

    Raises:
        ConfigError: The address can't be listened on.
    """
    try:
        server = waitress.create_server(
            create_app(settings), host=settings.host, port=settings.port, threads=_THREADS
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"Can't listen on {settings.host}:{settings.port} ({error}): "
            "set RQ_DASHBOARD_HOST or RQ_DASHBOARD_PORT to an address that is free"
        ) from error
    # waitress stops when SystemExit is raised in its loop, after its threads are done.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _log.info("rq_dashboard_started", extra={"host": settings.host, "port": settings.port})
    server.run()


def main() -> None:
    """Read the environment and serve; bad input is one line and exit code 2."""
    with logged_process("rq-dashboard"):
        serve(DashboardSettings.from_env())


if __name__ == "__main__":
    main()
