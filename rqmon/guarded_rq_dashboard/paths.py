"""Names in addresses: any text that a queue or a job may be called is one part of a path.

WSGI servers decode a path before anything is routed, so `high%2Fmail` arrives as two parts. The request's own
line, which waitress and others hand on, still has it as one.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

from werkzeug.routing import BaseConverter, IntegerConverter


class Name(BaseConverter):
    """A name, percent-encoded. One with slashes is understood as well, for proxies that decode paths."""

    part_isolating = False
    regex = r"[^/][\s\S]*?"

    def to_python(self, value: str) -> str:
        """The name."""
        return unquote(value)

    def to_url(self, value: str) -> str:
        """The name as one part of a path."""
        return quote(value, safe="")


class Word(Name):
    """A part of a path that never has a slash: a registry, an order, a number."""

    part_isolating = True
    regex = "[^/]+"


class Number(IntegerConverter):
    """A number that fits; Python refuses to read one of thousands of digits."""

    regex = r"\d{1,9}"


class KeptNames:
    """A WSGI application whose paths keep `%2F` and `%25`, which the converters here decode."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        path = environ["PATH_INFO"].encode("latin-1")
        asked = environ.get("REQUEST_URI", "").partition("?")[0].encode("latin-1")
        if unquote_to_bytes(asked) != path:  # a server or a proxy that changed it
            asked = quote(path).encode()
        parts = (unquote_to_bytes(p).replace(b"%", b"%25").replace(b"/", b"%2F") for p in asked.split(b"/"))
        return self._app({**environ, "PATH_INFO": b"/".join(parts).decode("latin-1")}, start_response)
