"""Serves a WSGI application as a process of the stack, by waitress, until SIGTERM."""

import contextlib
import logging
import signal
import sys
from types import FrameType
from typing import Any

import waitress
from waitress import wasyncore

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
    sockets: dict[int, Any] = {}
    try:
        if not 0 < int(port) < 65_536:  # waitress would listen on another port
            raise ValueError("a port is from 1 to 65535")
        server = waitress.create_server(app, map=sockets, host=host, port=int(port), threads=threads)
    except (OSError, ValueError) as error:
        variables = f"{name.upper()}_HOST or {name.upper()}_PORT"
        raise ConfigError(
            f"Can't listen on {host}:{port} ({error}): set {variables} to an address that is free"
        ) from error
    told: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        sys.exit(0)  # ends the wait for the next request; lost where Python happens to be in a destructor

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    _log.info(f"{name}_started", extra={"host": host, "port": int(port)})
    with contextlib.suppress(SystemExit):
        while not told:
            wasyncore.loop(timeout=1.0, map=sockets, count=1)
    server.task_dispatcher.shutdown()
    wasyncore.close_all(sockets)
