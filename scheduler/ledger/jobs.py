"""What became of jobs: each execution counted once, by queue, function and outcome, with its times.

An execution is noted when it starts and is counted when its note is taken away, so repeating either
changes nothing, and one that RQ gave up on is found by its note.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from redis import Redis
from rq import Queue
from rq.executions import Execution
from rq.job import Job
from rq.registry import StartedJobRegistry

from scheduler.ledger import job_scripts as scripts
from scheduler.ledger.job_scripts import COUNTS as COUNTS
from scheduler.ledger.job_scripts import MAX_NAMES as MAX_NAMES
from scheduler.ledger.job_scripts import MAX_PAIRS as MAX_PAIRS
from scheduler.ledger.job_scripts import OTHER as OTHER
from scheduler.ledger.job_scripts import RUNNING as RUNNING
from scheduler.serializers import storable

_REAP_BATCH = 500
# What RQ gives to the callbacks of a job whose worker died.
_DEAD_WORKER = "rq.exceptions.AbandonedJobError"

# What RQ, whose prefix may be another than "rq", puts before the name of a queue, an execution or a job.
_RQ_PREFIXES = (
    StartedJobRegistry.key_template.format(""),
    Execution("", "", connection=cast(Any, None)).key.removesuffix(":"),
    Job.redis_job_namespace_prefix,
    Queue.redis_queue_namespace_prefix,
)


class JobOutcome(StrEnum):
    """How an execution ended; each has exactly one."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # for good: no retry was left
    RETRIED = "retried"  # raised, or returned a Retry, and will run again
    STOPPED = "stopped"  # a person stopped it
    ABANDONED = "abandoned"  # its process or its worker died; RQ fails it, or runs it again
    RATE_LIMITED = "rate_limited"  # raised TooManyRequests, whether it will run again or not


@dataclass(slots=True)
class Histogram:
    """Observations by the upper bound of their bucket, not cumulative, and their sum in seconds."""

    buckets: dict[float, int] = field(default_factory=dict)
    sum_seconds: float = 0.0

    def add(self, le: str, number: int) -> None:
        """Add to a bucket; 60 and 60.0 are the same one.

        Raises:
            ValueError: `le` is no upper bound.
        """
        bound = float(le)
        if not bound >= 0:  # nor is nan
            raise ValueError(f"{le} is no upper bound")
        self.buckets[bound] = self.buckets.get(bound, 0) + number


@dataclass(frozen=True, slots=True)
class JobCounts:
    """The whole record: outcomes by (queue, function, outcome), failures by (queue, exception), and times.

    Retries are executions after which the job runs again, and like killed horses by queue. The histograms
    are by (queue, function). An execution that was abandoned with its worker has a wait and no run time; one
    that was abandoned before it was loaded has neither. The fields in `unreadable` are in nothing else.
    """

    outcomes: dict[tuple[str, str, str], int] = field(default_factory=dict)
    failures: dict[tuple[str, str], int] = field(default_factory=dict)
    retries: dict[str, int] = field(default_factory=dict)
    horses_killed: dict[str, int] = field(default_factory=dict)
    wait: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    run: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    unreadable: list[bytes] = field(default_factory=list)


def details(*, function: str, wait_seconds: float, bounds: tuple[float, ...]) -> dict[str, str]:
    """What only the process that loads a job knows, as it stands in the note."""
    return {
        "function": _name(function),
        "wait": f"{wait_seconds:.6f}",
        "wait_le": bucket(wait_seconds, bounds),
    }


def note_start(pipe: Any, token: str, *, queue: str, details: Mapping[str, str]) -> None:
    """Note that an execution begins; `token` is `<job id>:<execution id>`, its member in RQ's registry."""
    pipe.hset(RUNNING, token, json.dumps({"queue": queue, **details}))


def note_details(pipe: Any, token: str, details: Mapping[str, str]) -> None:
    """Add to the note what was not known when the execution began."""
    pipe.eval(scripts.DETAILS, 1, RUNNING, token, *(part for item in details.items() for part in item))


def count_end(
    pipe: Any,
    token: str,
    outcome: JobOutcome,
    *,
    run_seconds: float | None,
    bounds: tuple[float, ...],
    exception: str | None,
    runs_again: bool,
) -> None:
    """Count an execution and take its note away; nothing happens when it is gone: it was counted.

    Args:
        pipe: The transaction in which RQ ends the execution.
        token: `<job id>:<execution id>`.
        outcome: How it ended.
        run_seconds: Its run time where it is known.
        bounds: Upper bounds of the histogram's buckets, in seconds.
        exception: The class it ended with, never its text.
        runs_again: Whether its job is to run again.
    """
    run = ("", "") if run_seconds is None else (f"{run_seconds:.6f}", bucket(run_seconds, bounds))
    _run(pipe, scripts.END, token, outcome, *run, _name(exception or ""), int(runs_again))


def is_noted(connection: Redis, token: str) -> bool:
    """Whether an execution was noted and not counted."""
    client: Any = connection
    return bool(client.hexists(RUNNING, token))


def is_running(execution: Execution, *, queue: str) -> bool:
    """Whether nobody has ended an execution: it is noted, or at least still in RQ's registry.

    A Redis that is full may evict the notes of all that run; then it is noted anew, without its details.
    """
    client: Any = execution.connection
    token = execution.composite_key
    if is_noted(client, token):
        return True
    if client.zscore(_RQ_PREFIXES[0] + queue, token) is None:
        return False
    note_start(client, token, queue=queue, details={})
    return True


def forget(pipe: Any, token: str) -> None:
    """Take away the note of an execution that never began."""
    pipe.hdel(RUNNING, token)


def count_abandoned(pipe: Any, token: str, *, runs_again: bool) -> None:
    """Count an execution whose worker died; how long it ran is unknown."""
    _run(pipe, scripts.END, token, JobOutcome.ABANDONED, "", "", _DEAD_WORKER, int(runs_again))


def count_unstarted(pipe: Any, job_id: str, *, queue: str) -> None:
    """Count a job that was lost between its queue and its start; it may have been noted in between."""
    _run(pipe, scripts.UNSTARTED, job_id, JobOutcome.ABANDONED, queue)


def count_horse_killed(connection: Any, *, queue: str) -> None:
    """Count a process that died while it ran a job."""
    connection.eval(scripts.HORSE_KILLED, 2, COUNTS, scripts.QUEUES, queue)


def reap(connection: Redis) -> int:
    """Count the executions that RQ, in whichever process, gave up on; how many there were."""
    client: Any = connection
    tokens = client.hkeys(RUNNING)
    return sum(
        _run(
            client,
            scripts.REAP,
            JobOutcome.ABANDONED,
            _DEAD_WORKER,
            *_RQ_PREFIXES,
            *tokens[start : start + _REAP_BATCH],
        )
        for start in range(0, len(tokens), _REAP_BATCH)
    )


def _run(client: Any, script: str, *args: str | bytes | int) -> Any:
    return client.eval(script, len(scripts.KEYS), *scripts.KEYS, *args)


def _name(text: str) -> str:
    return storable(text.replace("|", "_")[:200])


def bucket(seconds: float, bounds: tuple[float, ...]) -> str:
    """The label of the bucket that an observation falls into: its upper bound."""
    index = bisect_left(bounds, seconds)
    return f"{bounds[index]:g}" if index < len(bounds) else "+Inf"


def parse(counts: Mapping[bytes, bytes]) -> JobCounts:
    """The record from the hash COUNTS; a field that can't be read costs nothing else."""
    found = JobCounts()
    for name, value in counts.items():
        try:
            kind, detail, function, queue = name.decode().split("|", 3)
            _add(found, kind, detail, function, queue, number=float(value))
        except (ValueError, OverflowError):  # OverflowError: it is infinite
            found.unreadable.append(name)
    return found


def _add(found: JobCounts, kind: str, detail: str, function: str, queue: str, *, number: float) -> None:
    where, whole = (queue, function), int(number)
    histograms = {"wait": found.wait, "run": found.run}.get(kind.removesuffix("_sum"))
    if kind == "outcome":
        found.outcomes[(queue, function, JobOutcome(detail))] = whole
    elif kind == "failure":
        found.failures[(queue, detail)] = whole
    elif kind == "retry":
        found.retries[queue] = whole
    elif kind == "horse_killed":
        found.horses_killed[queue] = whole
    elif histograms is None:
        raise ValueError(f"{kind} is not counted")
    else:
        histogram = histograms.get(where, Histogram())
        if kind.endswith("_sum"):
            histogram.sum_seconds = number
        else:
            histogram.add(detail, whole)
        histograms[where] = histogram


def read(connection: Redis) -> JobCounts:
    """The record, in one round trip."""
    client: Any = connection
    return parse(client.hgetall(COUNTS))
