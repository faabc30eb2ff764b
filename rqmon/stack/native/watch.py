"""Supervisord's event listener: restarts programs that it has given up, and counts unexpected ends.

supervisord marks a program FATAL after its tries and leaves it, though Redis may just have been away that
long.
"""

import contextlib
import json
import logging
import os
import time
from collections import defaultdict
from pathlib import Path
from xmlrpc.client import Fault

import psutil
from supervisor import childutils

# Read by `rqmon status`: program -> the last times it ended unexpectedly, in seconds since 1970.
RESTARTS = "restarts.json"
_KEPT = 100

# Logging is not configured: warnings go to stderr, since stdout belongs to supervisord.
_log = logging.getLogger(__name__)


def main() -> None:
    """Listen until supervisord is gone."""
    socket = os.environ["SUPERVISOR_SERVER_URL"].removeprefix("unix://")
    restarts = Path(socket).parent / RESTARTS
    ended = _read(restarts, since=psutil.Process(os.getppid()).create_time())
    _write(restarts, ended)
    while True:
        try:
            headers, payload = childutils.listener.wait()
        except KeyError:  # the end of the input
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


def _read(path: Path, *, since: float) -> defaultdict[str, list[float]]:
    """Read what an earlier watch of this supervisord wrote, without ends under an earlier supervisord."""
    ended: defaultdict[str, list[float]] = defaultdict(list)
    try:
        for name, times in json.loads(path.read_text()).items():
            ended[name] = [at for at in times if at >= since]
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, AttributeError) as error:
        _log.warning("%s can't be read, so counts begin at 0: %s", path, error)
    return ended


def _write(path: Path, ended: dict[str, list[float]]) -> None:
    new = path.with_suffix(".new")
    try:
        new.write_text(json.dumps(ended))
        new.replace(path)
    except OSError as error:  # a full disk: given-up programs must be restarted all the same
        _log.warning("%s can't be written, counts are kept in memory: %s", path, error)


if __name__ == "__main__":
    main()
