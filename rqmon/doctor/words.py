"""How findings are worded: lists that stay short, spans of time, and commands a shell can run."""

import shlex
from collections.abc import Sequence

from rqmon.terminal import shortened

_NAMED = 5
_MOST_QUEUES = 20
_SPANS = (("d", 86_400), ("h", 3_600), ("min", 60))

# They need the address in the shell's environment; rqmon's own read `.env`.
_REDIS_CLI = 'redis-cli -u "$RQ_REDIS_URL"'


def listed(names: Sequence[str]) -> str:
    """The first five names, and how many more there are."""
    shown = [shortened(name) for name in names[:_NAMED]]
    if len(names) > _NAMED:
        return f"{', '.join(shown)} and {len(names) - _NAMED} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def counted(number: int, noun: str) -> str:
    """`1 job`, `2 jobs`, `2 entries`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{number:,} {noun}s"


def span(seconds: float) -> str:
    """A time span to read: `45 s`, `12 min`; none where clocks that differ would make it negative."""
    for unit, size_seconds in _SPANS:
        if seconds >= 2 * size_seconds:
            return f"{seconds / size_seconds:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def quoted(*words: str) -> str:
    """Words as a shell takes them; after `--`, none is an option."""
    return shlex.join(["--", *words] if any(word.startswith("-") for word in words) else words)


def redis_cli(*words: str) -> str:
    """A command to Redis."""
    return f"{_REDIS_CLI} {shlex.join(words)}"


def start_worker(*queues: str) -> str:
    """The command that starts a worker, which looks after scheduled jobs too; twenty queues at most."""
    options = "--worker-class scheduler.RecordingWorker --with-scheduler"
    return f"rq worker {options} {quoted(*queues[:_MOST_QUEUES])}"


def requeue(queue: str, job_id: str = "", *, serializer: str) -> str:
    """The command that queues one failed job again, or all of a queue."""
    option = "" if serializer == "pickle" else f" --serializer {serializer}"
    what = quoted(job_id) if job_id else "--all"
    return f"rq requeue{option} --queue={shlex.quote(queue)} {what}"
