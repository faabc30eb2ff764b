"""The names by which our servers may be addressed: no other site's page may read them through a browser.

By DNS rebinding such a page makes its own domain point to this machine, and its requests then have that
domain in `Host`. So only names that no stranger can have are accepted: addresses, names without a dot (of the
machine, of a container, `localhost`), the machine's full name, and the given names. The exporter, the doors
and the preview all use this check.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

# The machine, as its containers know it; no site can be under .internal.
_IN_CONTAINERS = "host.docker.internal"


def given_names(text: str) -> frozenset[str]:
    """Return the names in a comma-separated list, ready to be compared: without scheme, port and path."""
    hosts = (part.strip().rpartition("://")[2] for part in text.split(","))
    return frozenset(name for host in hosts if (name := _name(host)))


def is_accepted(host: str, names: Iterable[str] = ()) -> bool:
    """Whether a `Host` header, with or without a port, is one of ours; `names` are accepted too."""
    name = _name(host)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        local = "." not in name or name.endswith(".localhost")
        return bool(name) and (local or name in (_IN_CONTAINERS, socket.gethostname().lower(), *names))
    return True


def _name(host: str) -> str:
    """Return the name in lower case without the port; empty if there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""
