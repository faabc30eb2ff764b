"""The exporter on :9726: rq-exporter's metrics and the ledger's, in three round trips per scrape."""

import os
from typing import Any


def create_app() -> Any:
    """Return the WSGI application, from the environment alone: `gunicorn "rqmon.exporter:create_app()"`."""
    # Imported here, because the modules read the environment; importing the package must do nothing.
    from rqmon.entry_point import one_line_errors
    from rqmon.exporter.app import application
    from rqmon.exporter.options import of_environment

    before = dict(os.environ)
    with one_line_errors("rq-exporter"):
        # A server may fork after this, so no thread is started yet.
        return application(of_environment(before))[0]
