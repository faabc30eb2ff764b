"""`python -m rqmon.doors 9090=http://127.0.0.1:19090 ...`: open these doors until SIGTERM."""

import argparse
import asyncio
import logging
import os
import signal
from pathlib import Path

from rqmon.extras import one_line_if_missing

with one_line_if_missing("rqmon.doors"):
    from aiohttp import web

    from rqmon.doors.app import create_app
    from rqmon.entry_point import one_line_errors
    from rqmon.web.hosts import given_names
    from scheduler.errors import ConfigError
    from scheduler.logs import configure


_log = logging.getLogger(__name__)
_LAST_REQUESTS_SECONDS = 2.0
_LONGEST_LINE_BYTES = 2**20  # as in Go's servers; the line includes the query


def main() -> None:
    """Read the options and serve; invalid input gives one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m rqmon.doors", description=__doc__)
    parser.add_argument(
        "doors",
        nargs="*",
        metavar="PORT=URL",
        default=os.environ.get("RQMON_DOORS", "").split(),
        help="the port to listen on, and the server behind it",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--header-file",
        default=os.environ.get("RQMON_DOORS_HEADER_FILE", ""),
        help="the file with the Authorization header for the servers behind",
    )
    options = parser.parse_args()
    configure()
    with one_line_errors("doors"):
        doors = dict(_door(text) for text in options.doors)
        if len(doors) < max(1, len(options.doors)):
            raise ConfigError("Give at least one door such as 9090=http://127.0.0.1:19090, and no port twice")
        header = _header(Path(options.header_file))
        names = given_names(os.environ.get("RQMON_ALLOWED_HOSTS", ""))
        asyncio.run(_serve(doors, host=options.host, authorization=header, names=names))


def _door(text: str) -> tuple[int, str]:
    port, _, behind = text.partition("=")
    is_port = port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65_536
    if not (is_port and behind.startswith("http://")):
        raise ConfigError(f"{text!r} is not a door: give one such as 9090=http://127.0.0.1:19090")
    return int(port), behind


def _header(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"{path} can't be read ({error.strerror}): rqmon start writes it") from None


async def _serve(doors: dict[int, str], *, host: str, authorization: str, names: frozenset[str]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runners = []
    try:
        for port, behind in doors.items():
            runner = web.AppRunner(
                create_app(behind, authorization=authorization, names=names),
                access_log=None,
                auto_decompress=False,  # bodies are passed on as they came
                handler_cancellation=True,  # a client that has left needs no answer: stop asking
                shutdown_timeout=_LAST_REQUESTS_SECONDS,
                max_line_size=_LONGEST_LINE_BYTES,
                max_field_size=_LONGEST_LINE_BYTES,
            )
            runners.append(runner)
            await runner.setup()
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                raise ConfigError(f"Can't listen on {host}:{port}: {error.strerror}") from None
        _log.info("doors_open", extra={"host": host, "ports": list(doors)})
        await stopped.wait()
    finally:
        for runner in runners:
            await runner.cleanup()


if __name__ == "__main__":
    main()
