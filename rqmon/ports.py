"""Free ports, for what is started a moment later."""

import contextlib
import random
import socket
from collections.abc import Collection

# Below what Linux and macOS give to outgoing connections: none of those takes the port meanwhile, nor while
# what listens there is started again.
_RANGE = range(10_000, 32_768)
_TRIED = 1000


def free_ports(count: int, *, but: Collection[str] = ()) -> list[int]:
    """Ports of 127.0.0.1 that are free now, no two the same, and none of those in `but`."""
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
