"""`python -m rqmon.preview`: serves the preview of the dashboards, or says in one line why it can't."""

import argparse
import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from rqmon.extras import one_line_if_missing

with one_line_if_missing("rqmon.preview"):
    from rqmon.ports import DEFAULT_PORTS
    from rqmon.preview.grafana.library import load_dashboards
    from rqmon.preview.web.server import serve
    from rqmon.resources import data
    from rqmon.web.hosts import given_names


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"preview: {message}\n")


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a number from 1 to 65535")
    return int(text)


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL; give one such as http://127.0.0.1:9090")
    return text.rstrip("/")


def _why_not(host: str, port: int) -> str:
    """Say why the preview can't listen there; empty if it can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} is taken; stop what listens there, or set --port or GRAFANA_PORT"
            return f"can't listen on {host}, port {port} ({error.strerror}); set --host or --port"
    return ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, then serve; invalid input gives one line and exit code 2."""
    parser = _Parser(prog="python -m rqmon.preview", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port", type=_port, default=os.environ.get("GRAFANA_PORT") or str(DEFAULT_PORTS["GRAFANA_PORT"])
    )
    parser.add_argument(
        "--prometheus-url",
        type=_url,
        default=os.environ.get("PROMETHEUS_URL") or f"http://127.0.0.1:{DEFAULT_PORTS['PROMETHEUS_PORT']}",
    )
    parser.add_argument(
        "--rq-dashboard-url",
        type=_url,
        default=os.environ.get("RQ_DASHBOARD_URL") or None,
        help="the address that links to jobs lead to",
    )
    parser.add_argument(
        "--allowed-hosts",
        default=os.environ.get("RQMON_ALLOWED_HOSTS") or "",
        help="names, separated by commas, that browsers may use, besides those that no stranger can have",
    )
    parser.add_argument("--dashboards", type=Path, default=data("monitoring/grafana/dashboards"))
    options = parser.parse_args(arguments)
    try:
        constants = {"rq_dashboard": options.rq_dashboard_url} if options.rq_dashboard_url else {}
        dashboards = load_dashboards(options.dashboards, constants)
    except ValueError as error:
        parser.error(str(error))
    if why_not := _why_not(options.host, options.port):
        parser.error(why_not)
    serve(
        dashboards,
        prometheus_url=options.prometheus_url,
        host=options.host,
        port=options.port,
        names=given_names(f"{options.host},{options.allowed_hosts}"),
    )


if __name__ == "__main__":
    main()
