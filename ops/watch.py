"""Supervisord's event listener: starts again what it has given up, and counts what ended unasked.

supervisord calls a program FATAL after its tries and leaves it so: Redis may have been away for that long.
"""

import contextlib
import json
import os
import time
from collections import defaultdict
from pathlib import Path
from xmlrpc.client import Fault

from supervisor import childutils

# What `rqmon status` reads: program -> when it ended unasked, in seconds since 1970, the last ones.
RESTARTS = "restarts.json"
_KEPT = 100


def main() -> None:
    """Listen until supervisord is gone."""
    socket = os.environ["SUPERVISOR_SERVER_URL"].removeprefix("unix://")
    restarts = Path(socket).parent / RESTARTS
    ended: defaultdict[str, list[float]] = defaultdict(list)
    _write(restarts, ended)
    while True:
        try:
            headers, payload = childutils.listener.wait()
        except KeyError:  # the end of its input
            return
        event = childutils.get_headers(payload)
        name = event["processname"]
        if headers["eventname"] == "PROCESS_STATE_FATAL":
            with contextlib.suppress(Fault):  # somebody was faster
                childutils.getRPCInterface(os.environ).supervisor.startProcess(name, False)
        else:
            ended[name] = [*ended[name][1 - _KEPT :], time.time()]
            _write(restarts, ended)
        childutils.listener.ok()


def _write(path: Path, ended: dict[str, list[float]]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(ended))
    new.replace(path)


if __name__ == "__main__":
    main()
