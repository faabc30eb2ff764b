"""The exporter on :9726: what rq-exporter serves and what the ledger knows, in three round trips a scrape."""

import os
from typing import Any


def create_app() -> Any:
    """The WSGI application, from the environment alone: `gunicorn "rqmon.exporter:create_app()"`."""
    # Importing a package does nothing, and its modules are what reads the environment.
    from rqmon.entry_point import one_line_errors
    from rqmon.exporter.app import application
    from rqmon.exporter.options import of_environment

    before = dict(os.environ)
    with one_line_errors("rq-exporter"):
        # A server may fork after this, so no thread is started yet.
        return application(of_environment(before))[0]
