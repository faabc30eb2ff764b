"""The services' default ports, and a search for free ports for a service about to start."""

import contextlib
import random
import socket
from collections.abc import Collection

# variable -> its default port; the compose files repeat them, which a contract test checks
DEFAULT_PORTS = {
    "REDIS_PORT": 6379,
    "RQ_EXPORTER_PORT": 9726,
    "PROMETHEUS_PORT": 9090,
    "ALERTMANAGER_PORT": 9093,
    "ALERT_LOG_PORT": 9095,
    "GRAFANA_PORT": 4000,
    "RQ_DASHBOARD_PORT": 9181,
}
# Below the range that Linux and macOS use for outgoing connections: none of those takes the port meanwhile,
# or while its service is restarted.
_RANGE = range(10_000, 32_768)
_TRIED = 1000


def free_ports(count: int, *, but: Collection[str] = ()) -> list[int]:
    """Return different ports of 127.0.0.1 that are free now, and none of those in `but`."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        for port in random.sample(_RANGE, k=_TRIED):
            if len(found) == count:
                break
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                if str(port) not in but:
                    found.append(port)
    return found
