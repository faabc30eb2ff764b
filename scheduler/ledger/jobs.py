"""What became of jobs: each execution counted once, by queue, function and outcome, with its times.

An execution is noted when it starts and counted when its note is removed. So repeating either changes
nothing, and an execution that RQ gave up on is found by its note.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, cast

from redis import Redis
from rq import Queue
from rq.executions import Execution
from rq.job import Job
from rq.registry import StartedJobRegistry

from scheduler.ledger import job_scripts as scripts
from scheduler.ledger.job_counts import JobCounts, parse
from scheduler.ledger.job_counts import JobOutcome as JobOutcome
from scheduler.ledger.job_scripts import COUNTS as COUNTS
from scheduler.ledger.job_scripts import MAX_NAMES as MAX_NAMES
from scheduler.ledger.job_scripts import MAX_PAIRS as MAX_PAIRS
from scheduler.ledger.job_scripts import OTHER as OTHER
from scheduler.ledger.job_scripts import RUNNING as RUNNING
from scheduler.ledger.reading import Histogram as Histogram
from scheduler.serializers import storable

_REAP_BATCH = 500
# What RQ passes to the callbacks of a job whose worker died.
_DEAD_WORKER = "rq.exceptions.AbandonedJobError"

# RQ's key prefixes of a queue, an execution and a job; they need not begin with "rq".
_RQ_PREFIXES = (
    StartedJobRegistry.key_template.format(""),
    Execution("", "", connection=cast(Any, None)).key.removesuffix(":"),
    Job.redis_job_namespace_prefix,
    Queue.redis_queue_namespace_prefix,
)


def details(*, function: str, wait_seconds: float, bounds: tuple[float, ...]) -> dict[str, str]:
    """Return what only the process that loads a job knows, as stored in the note."""
    return {
        "function": _name(function),
        "wait": f"{wait_seconds:.6f}",
        "wait_le": bucket(wait_seconds, bounds),
    }


def note_start(pipe: Any, token: str, *, queue: str, details: Mapping[str, str]) -> None:
    """Note that an execution begins; `token`, `<job id>:<execution id>`, is its member in RQ's registry."""
    pipe.hset(RUNNING, token, json.dumps({"queue": queue, **details}))


def note_details(pipe: Any, token: str, details: Mapping[str, str]) -> None:
    """Add details to the note that were not known when the execution began."""
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
    """Count an execution and remove its note. Without a note nothing happens: it has been counted.

    Args:
        pipe: The transaction in which RQ ends the execution.
        token: `<job id>:<execution id>`.
        outcome: How it ended.
        run_seconds: Its run time, if known.
        bounds: Upper bounds of the histogram's buckets, in seconds.
        exception: The class of the exception that ended it, never the text.
        runs_again: Whether its job will run again.
    """
    run = ("", "") if run_seconds is None else (f"{run_seconds:.6f}", bucket(run_seconds, bounds))
    _run(pipe, scripts.END, token, outcome, *run, _name(exception or ""), int(runs_again))


def is_noted(connection: Redis, token: str) -> bool:
    """Whether an execution is noted and not yet counted."""
    client: Any = connection
    return bool(client.hexists(RUNNING, token))


def is_running(execution: Execution, *, queue: str) -> bool:
    """Whether an execution has not ended yet: it is noted, or at least still in RQ's registry.

    A full Redis may evict the notes of all running executions; then it is noted anew, without its details.
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
    """Remove the note of an execution that never began."""
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
    """Count the executions that RQ gave up on, in any process; return how many there were."""
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
    """Return the label of the bucket of an observation: its upper bound."""
    index = bisect_left(bounds, seconds)
    return f"{bounds[index]:g}" if index < len(bounds) else "+Inf"


def read(connection: Redis) -> JobCounts:
    """Read the record, in one round trip."""
    client: Any = connection
    return parse(client.hgetall(COUNTS))
