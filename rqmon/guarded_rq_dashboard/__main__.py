"""`python -m rqmon.guarded_rq_dashboard`: serve the dashboard until SIGTERM or SIGINT."""

import logging
import os

from rqmon.extras import one_line_if_missing

with one_line_if_missing("rqmon.guarded_rq_dashboard"):
    from rqmon.entry_point import logged_process
    from rqmon.guarded_rq_dashboard import options
    from rqmon.guarded_rq_dashboard.app import create_app
    from rqmon.guarded_rq_dashboard.settings import DashboardSettings
    from rqmon.web.serving import serve


# While Redis is frozen each open tab keeps a thread for 2 s of every 5: enough for a team, and bounded.
_THREADS = 16


def main() -> None:
    """Read the environment and serve; bad input ends with one line and exit code 2."""
    with logged_process("rq-dashboard"):
        settings = DashboardSettings.from_env()
        if names := options.unknown(os.environ):
            message = "unknown_options"
            logging.getLogger(__name__).warning(message, extra={"ignored": ", ".join(names)})
        app = create_app(settings)
        serve(app, name="rq_dashboard", host=settings.host, port=settings.port, threads=_THREADS)


if __name__ == "__main__":
    main()
