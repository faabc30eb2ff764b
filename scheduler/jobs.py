"""Making a job and putting it into its queue: every job of this package comes through here."""

import pickle
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from redis.client import Pipeline
from rq import Queue
from rq.job import Job, JobStatus

from scheduler.connections.failover import on_primary
from scheduler.durations import check_kept, check_timeout
from scheduler.errors import ArgumentError, FunctionError
from scheduler.functions import import_path
from scheduler.logs import CORRELATION_ID, current_correlation_id
from scheduler.retry import check_repeat, check_retry
from scheduler.serializers import Json, check_text

# In a job's meta: when it was due to be queued, in Unix seconds. RQ forgets this when it queues the job.
DUE_AT = "rqmon:due_at"


def make_job(
    queue: Queue,
    function: Callable[..., Any] | str,
    args: Any = None,
    kwargs: Any = None,
    *,
    data: bytes | None = None,
    **options: Any,
) -> Job:
    """Make a job that is not in a queue yet. Its options are checked and its arguments serialized once, here.

    The job carries the caller's correlation id. Its description is the function's name unless one is given:
    RQ's own would show the arguments to whoever sees the job.

    Args:
        queue: The job's queue, whose serializer writes the arguments.
        function: A function a worker can import, or its import path.
        args: Positional arguments, iterated over once, so that a generator may give them.
        kwargs: Keyword arguments.
        data: The serialized function and arguments of an earlier job; they are not checked again.
        options: Further arguments of `Queue.create_job`.

    Raises:
        FunctionError: A worker can't import the function, or it is a class.
        ArgumentError: An argument can't be serialized, or `meta`, the description or the id can't be stored.
        RetryError: A number in `retry` or `repeat` is out of range.
        SchedulerError: `timeout`, `result_ttl`, `failure_ttl` or `ttl` is out of range.
    """
    create: Any = queue.create_job  # rq's types don't allow a union of callable and path
    if data is None:
        path = import_path(function)
        if isinstance(function, type):
            raise FunctionError(f"{function!r} is a class: use a function, or the class's import path")
        _check_options(options)
        args, kwargs = _call_arguments(args, kwargs)
        options["description"] = options.get("description") or path
    options["meta"] = {CORRELATION_ID: current_correlation_id(), **(options.get("meta") or {})}
    job: Job = create(function, args, kwargs, **options)
    if data is None:
        _serialize(job)
    else:
        job.data = data
    return job


def enqueue(
    queue: Queue, job: Job, *, at_front: bool = False, unique: bool = False, pipeline: Pipeline | None = None
) -> Job:
    """Queue a job that `make_job` made.

    Args:
        queue: The job's queue. One that is not async runs the job now.
        job: The job.
        at_front: Whether it is the next to run.
        unique: Refuse the job if there is one with its id.
        pipeline: Add it to this transaction, which the caller executes.
    """

    def write() -> Job:
        job._status = JobStatus.QUEUED  # an earlier try, refused by a replica, may have deferred it
        if pipeline is not None or unique or not queue.is_async or _waits(job):
            return queue.enqueue_job(job, at_front=at_front, unique=unique, pipeline=pipeline)
        # One round trip; RQ takes two if it is not given a pipeline.
        with queue.connection.pipeline() as own:
            queue.enqueue_job(job, at_front=at_front, pipeline=own)
            own.execute()
        return job

    return on_primary(queue.connection, write)


def schedule(
    queue: Queue,
    job: Job,
    due: datetime,
    *,
    at_front: bool = False,
    unique: bool = False,
    pipeline: Pipeline | None = None,
) -> Job:
    """Store a job that `make_job` made until a worker's scheduler queues it; arguments as for `enqueue`."""
    job.meta[DUE_AT] = due.timestamp()
    if at_front:
        job.enqueue_at_front = True
    return on_primary(
        queue.connection, lambda: queue.schedule_job(job, due, unique=unique, pipeline=pipeline)
    )


def _call_arguments(args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments as RQ takes them. They are iterated over once: a generator is then empty."""
    if isinstance(args, str | bytes) or not isinstance(args, Iterable | None):
        raise ArgumentError(f"The positional arguments are {type(args).__name__}: use a tuple, (value,)")
    if not isinstance(kwargs, Mapping | None):
        raise ArgumentError(f"The keyword arguments are {type(kwargs).__name__}: use a dict")
    if odd := [name for name in kwargs or {} if not isinstance(name, str)]:
        raise ArgumentError(f"A keyword argument is called {odd[0]!r:.200}: use a string")
    return tuple(args or ()), dict(kwargs or {})


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuse what RQ would only refuse later: after asking Redis, or when the job fails."""
    check_timeout(options.get("timeout"))
    check_kept(options)
    check_retry(options.get("retry"))
    check_repeat(options.get("repeat"))
    for name in ("description", "job_id"):
        if options.get(name) is not None:
            check_text(name, options[name])
    if not isinstance(options.get("meta"), Mapping | None):
        raise ArgumentError(f"meta is {options['meta']!r:.200}: use a dict")


def _serialize(job: Job) -> None:
    """Serialize a job's function and arguments; the job keeps the result."""
    name = job.func_name
    is_json = job.serializer is Json
    if is_json and job.instance is not None:
        raise ArgumentError(
            f"{name} belongs to an object, which JSON can't store: use a function or RQ_SERIALIZER=pickle"
        )
    try:
        _ = job.data
    except (pickle.PicklingError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if not is_json:
            raise ArgumentError(f"The arguments of {name} can't be pickled: {error}") from None
        raise ArgumentError(
            f"The arguments of {name} can't be written as JSON: {error}. "
            "Pass strings, numbers, lists and dicts, or set RQ_SERIALIZER=pickle"
        ) from None


def _waits(job: Job) -> bool:
    """Whether RQ must ask Redis before it queues the job: it has dependencies or, in rq 3, a rate limit."""
    return bool(job._dependency_ids) or getattr(job, "has_rate_limit", False)
