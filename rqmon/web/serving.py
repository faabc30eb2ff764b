"""Serves a WSGI application as a process of the stack, by waitress, until SIGTERM."""

import logging
import signal
import sys
from typing import Any

import waitress

from scheduler.errors import ConfigError

_log = logging.getLogger(__name__)


def serve(app: Any, *, name: str, host: str, port: int | str, threads: int) -> None:
    """Serve until SIGTERM or SIGINT; running requests are finished first.

    Args:
        app: The application.
        name: The program's name, as in its variables: rq_exporter has RQ_EXPORTER_HOST and RQ_EXPORTER_PORT.
        host: Address to listen on.
        port: Port to listen on.
        threads: How many requests are answered at once.

    Raises:
        ConfigError: The program can't listen on the address.
    """
    try:
        if not 0 < int(port) < 65_536:  # waitress would listen on another port
            raise ValueError("a port is from 1 to 65535")
        server = waitress.create_server(app, host=host, port=int(port), threads=threads)
    except (OSError, ValueError) as error:
        variables = f"{name.upper()}_HOST or {name.upper()}_PORT"
        raise ConfigError(
            f"Can't listen on {host}:{port} ({error}): set {variables} to an address that is free"
        ) from error
    # waitress stops when SystemExit is raised in its loop, after its threads have finished.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _log.info(f"{name}_started", extra={"host": host, "port": int(port)})
    server.run()
