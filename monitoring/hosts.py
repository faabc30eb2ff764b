"""By which names a server of ours may be asked: no other site's page may read it through a browser.

By DNS rebinding such a page makes its own domain lead to this machine, and its requests then carry that
domain in `Host`. So a name is accepted that no stranger can have: an address, a name without a dot (of the
machine, of a container, `localhost`), the machine's full name, and those that are given.
"""

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit


def given_names(text: str) -> frozenset[str]:
    """The names in a list with commas, as they are compared."""
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def is_accepted(host: str, names: Iterable[str] = ()) -> bool:
    """Whether this is a `Host` header, with or without a port, of ours; `names` are accepted too."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:  # no host and port
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        local = "." not in name or name.endswith(".localhost") or name == socket.gethostname().lower()
        return bool(name) and (local or name in names)
    return True


def refusal(environ: Mapping[str, Any], names: Iterable[str], *, variable: str) -> str | None:
    """Why a WSGI request is refused; None where it is answered.

    Args:
        environ: The request's.
        names: Names that are accepted too.
        variable: The environment variable that holds these, for the message.
    """
    if (host := environ.get("HTTP_HOST")) is not None and not is_accepted(host, names):
        return f"This server does not answer to that name: add it to {variable}, or ask by address."
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not is_accepted(origin.partition("://")[2], names):
        return f"Pages of that origin may not ask: add its name to {variable}."
    return None
