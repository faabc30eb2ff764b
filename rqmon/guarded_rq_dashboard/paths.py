"""Names in addresses: the name of a queue or a job, whatever it is, is one part of a path.

WSGI servers decode a path before it is routed, so `high%2Fmail` arrives as two parts. The line of the
request, which waitress and others hand on, still has it as one.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

from werkzeug.routing import BaseConverter, IntegerConverter


class Name(BaseConverter):
    """A name, percent-encoded. A name with plain slashes is understood too, as some proxies decode paths."""

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
    """A number of a bounded length: Python refuses to read thousands of digits."""

    regex = r"\d{1,9}"


class KeptNames:
    """A WSGI application whose paths keep `%2F` and `%25`, which the converters here decode."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        path = environ["PATH_INFO"].encode("latin-1")
        asked = environ.get("REQUEST_URI", "").partition("?")[0].encode("latin-1")
        if unquote_to_bytes(asked) != path:  # a server or a proxy has changed it
            asked = quote(path).encode()
        parts = (unquote_to_bytes(p).replace(b"%", b"%25").replace(b"/", b"%2F") for p in asked.split(b"/"))
        return self._app({**environ, "PATH_INFO": b"/".join(parts).decode("latin-1")}, start_response)
