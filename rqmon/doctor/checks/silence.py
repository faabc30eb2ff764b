"""Why a worker does nothing, as far as it can be told from here, and what ends that."""

import socket

from rqmon.doctor.facts import WorkerFacts
from rqmon.doctor.phrases import listed
from rqmon.doctor.remedies import quoted, start_worker


def why_silent(worker: WorkerFacts, *, has_stack: bool) -> tuple[str, str]:
    """The cause in a sentence or two, and the command that mends it."""
    start = start_worker(*worker.queues.split(","), has_stack=has_stack)
    if worker.pid is None:
        return "It died, is stopped, or hangs; it does not say where it runs.", start
    place = f"process {worker.pid} on {listed([worker.host])}"
    if worker.process == "stopped":
        return f"It was stopped (SIGSTOP): {place}.", f"kill -CONT {worker.pid}"
    if worker.process == "gone":
        return f"It was killed: there is no {place} any more.", start
    kill = f"kill -KILL {worker.pid}"
    return (
        f"It died, is stopped, hangs, or can't write to Redis: {place}. Once it has ended, start another.",
        kill if worker.host == socket.gethostname() else f"ssh {quoted(worker.host)} {kill}",
    )
