"""job_scheduler(): one function that runs a job now, later or on a cron."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from rq.job import Job

from scheduler.config import Settings
from scheduler.cron.constants import THREE_MINUTES_IN_SECONDS
from scheduler.cron.entries import CronEntry
from scheduler.errors import ScheduleConflictError, SchedulerError
from scheduler.logs import CORRELATION_ID
from scheduler.queues import SHORT_RUNNING_QUEUE, shared_connection
from scheduler.retry import build_retry
from scheduler.scheduler import Scheduler, import_path

_log = logging.getLogger(__name__)


@functools.lru_cache(maxsize=16)
def _scheduler(redis_url: str) -> Scheduler:
    # Kept: a Queue asks a new connection for its server's version before it enqueues.
    return Scheduler(connection=shared_connection(redis_url))


def job_scheduler(
    function: Callable[..., Any] | str,
    function_args: Sequence[Any] | None = None,
    function_kwargs: Mapping[str, Any] | None = None,
    max_retries: int | None = 3,
    queue_name: str = SHORT_RUNNING_QUEUE,
    is_burst: bool = False,  # noqa: ARG001 (the origin's callers pass it; the worker decides how jobs run)
    retry_backoff: bool | float = False,
    retry_intervals: int | Sequence[int] = 0,
    cron: str | None = None,
    time_delta: timedelta | None = None,
    job_timeout: int = THREE_MINUTES_IN_SECONDS,
    description: str | None = None,
    *,
    cron_id: str | None = None,
) -> Job | CronEntry:
    """Run a function in the background: now, later, or again and again.

    Arguments are never logged, and are not shown in the job's description.

    Args:
        function: A function a worker can import, or its import path.
        function_args: Its positional arguments.
        function_kwargs: Its keyword arguments.
        max_retries: How often a failed job is run again; None or 0 is never.
        queue_name: The queue to put it in.
        is_burst: Kept for the origin's callers; it has no effect on how a job is queued.
        retry_backoff: True waits 1, 2, 4, 8 ... seconds before the retries; a number doubles from that many
            seconds; False uses `retry_intervals`.
        retry_intervals: Seconds before every retry, or a list, one before each.
        cron: Repeat on this expression (minute hour day month weekday, UTC).
        time_delta: Run once, this long from now: never earlier, and up to a second or two later.
        job_timeout: Seconds the job may run before it is failed.
        description: What people read in dashboards; by default the function's name.
        cron_id: The cron entry's id; by default derived from function, arguments, queue and cron.

    Returns:
        The queued or scheduled `rq.job.Job`; for a cron its `CronEntry`.

    Raises:
        ScheduleConflictError: Both `cron` and `time_delta` are given.
        CronError: The cron expression is invalid.
        SchedulerError: `time_delta` is no timedelta, or `function_args` is a text.
        RetryError: A number of retries or seconds is negative.
        FunctionError: A worker could not import the function.
        redis.RedisError: Redis does not answer.
    """
    if cron is not None and time_delta is not None:
        raise ScheduleConflictError
    if time_delta is not None and not isinstance(time_delta, timedelta):
        raise SchedulerError(f"time_delta is {time_delta!r}: use a datetime.timedelta")
    if isinstance(function_args, str | bytes):
        raise SchedulerError("function_args is a text, which would be taken apart: use a tuple, (text,)")
    retry = build_retry(max_retries, retry_backoff=retry_backoff, retry_intervals=retry_intervals)
    scheduler = _scheduler(Settings.from_env().redis_url)
    job: Job | CronEntry
    if cron is not None:
        job = scheduler.cron(
            queue_name,
            cron,
            function,
            args=function_args,
            kwargs=function_kwargs,
            description=description,
            timeout=job_timeout,
            retry=retry,
            cron_id=cron_id,
        )
    else:
        options = {
            "args": function_args,
            "kwargs": function_kwargs,
            "retry": retry,
            "job_timeout": job_timeout,
            "description": description,
        }
        if time_delta is not None:
            job = scheduler.enqueue_in(queue_name, time_delta, function, **options)
        else:
            job = scheduler.enqueue(queue_name, function, **options)
    _log.info(
        "job_scheduled",
        extra={
            "job_id": job.id,
            "function": import_path(function),
            "queue": queue_name,
            "cron": cron,
            "correlation_id": job.meta.get(CORRELATION_ID),
        },
    )
    return job
