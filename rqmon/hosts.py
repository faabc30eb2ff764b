"""By which names a server of ours may be asked: no other site's page may read it through a browser.

By DNS rebinding such a page makes its own domain lead to this machine, and its requests then carry that
domain in `Host`. So a name is accepted that no stranger can have: an address, a name without a dot (of the
machine, of a container, `localhost`), the machine's full name, and those that are given. The exporter, the
doors and the preview all ask here.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

# The machine, for the containers on it; no site can be under .internal.
_IN_CONTAINERS = "host.docker.internal"


def given_names(text: str) -> frozenset[str]:
    """The names in a list with commas, as they are compared; what else an address has is left out."""
    hosts = (part.strip().rpartition("://")[2] for part in text.split(","))
    return frozenset(name for host in hosts if (name := _name(host)))


def is_accepted(host: str, names: Iterable[str] = ()) -> bool:
    """Whether this is a `Host` header, with or without a port, of ours; `names` are accepted too."""
    name = _name(host)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        local = "." not in name or name.endswith(".localhost")
        return bool(name) and (local or name in (_IN_CONTAINERS, socket.gethostname().lower(), *names))
    return True


def _name(host: str) -> str:
    """In lower case, without a port; empty when there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""
