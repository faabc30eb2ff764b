"""A webhook that Alertmanager tells, and that remembers when it was told of what."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WATCHDOG_PATH = "/watchdog"


@dataclass(frozen=True, slots=True)
class Told:
    """One alert of one message: its name, its labels, "firing" or "resolved", and when it came."""

    alert: str
    labels: dict[str, str]
    status: str
    at: float


@dataclass
class Receiver:
    """What was told so far.

    Attributes:
        url: Where alerts are told.
        refuses_watchdog: Whether what is told to the watchdog's address is refused, as with a wrong key.
    """

    url: str = ""
    refuses_watchdog: bool = False
    told: list[Told] = field(default_factory=list)

    def first(self, alert: str, status: str, *, since: float) -> Told | None:
        """The first message of that kind since a moment."""
        found = (told for told in list(self.told) if told.at >= since)
        return next((told for told in found if (told.alert, told.status) == (alert, status)), None)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listen on a free port of this machine."""
    into = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            refused = into.refuses_watchdog and self.path == WATCHDOG_PATH
            if not refused:
                into.told += [
                    Told(alert["labels"]["alertname"], alert["labels"], alert["status"], time.time())
                    for alert in json.loads(body)["alerts"]
                ]
            self.send_response(403 if refused else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        into.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield into
        finally:
            server.shutdown()
