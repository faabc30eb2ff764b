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
        local = "." not in name or name.endswith(".localhost")
        return bool(name) and (local or name in (_IN_CONTAINERS, socket.gethostname().lower(), *names))
    return True
