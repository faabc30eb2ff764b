"""Decides whose requests are answered: those to this machine's addresses and names, and its own pages'.

A web page of any site can send requests to this machine. If that site's name points to 127.0.0.1 (DNS
rebinding), a browser takes the answers for the site's own and lets the page read them. Such a request has
that name in `Host`. A page that uses our name gives its own origin in `Origin`; browsers open a WebSocket
from any origin, so it is checked here.
"""

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from rqmon.web.hosts import is_accepted


def refusal(host: str, origin: str | None, names: frozenset[str]) -> str:
    """Say why a request is refused; empty if it is answered.

    Args:
        host: The `Host` header.
        origin: The `Origin` header, if there is one.
        names: Further names to accept, in lower case, besides those that no stranger can have.
    """
    if not is_accepted(host, names):
        return "Host is not one of our names: use an address, or add it to RQMON_ALLOWED_HOSTS."
    if origin is not None and (_netloc(origin) or "?") != host.lower():
        return "The request comes from a page of another origin."
    return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


class Guard:
    """Answers 403 to requests and WebSockets that are refused."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        why = refusal(headers.get("host", ""), headers.get("origin"), self._names)
        if not why:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            text = f"Refused: {why}\n".encode()
            length = str(len(text)).encode()
            head = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", length)]
            await send({"type": "http.response.start", "status": 403, "headers": head})
            await send({"type": "http.response.body", "body": text})
