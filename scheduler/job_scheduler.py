"""job_scheduler(): one function that runs a job now, later or on a cron."""

import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Unpack

from rq.job import Job

from scheduler.config import Settings, current
from scheduler.cron.constants import THREE_MINUTES_IN_SECONDS
from scheduler.cron.entries import CronEntry, CronOptions, check_options
from scheduler.durations import check_timeout
from scheduler.errors import ScheduleConflictError, SchedulerError
from scheduler.logs import CORRELATION_ID
from scheduler.queues import SHORT_RUNNING_QUEUE
from scheduler.retry import build_retry, exponential_backoff_intervals, retry_backoff_intervals
from scheduler.scheduler import DataHubScheduler, Scheduler

# The origin's callers import these from here too.
__all__ = ["DataHubScheduler", "exponential_backoff_intervals", "job_scheduler", "retry_backoff_intervals"]

_log = logging.getLogger(__name__)


@functools.lru_cache(maxsize=16)
def _shared_scheduler(_settings: Settings) -> Scheduler:
    # Cached by settings: on a new connection a Queue asks for the server's version before it enqueues.
    return Scheduler()


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
    interval_seconds: int | None = None,
    **cron_options: Unpack[CronOptions],
) -> Job | CronEntry:
    """Run a function in the background: now, later, or again and again.

    Arguments are never logged, and are not shown in the job's description.

    Args:
        function: A function a worker can import, or its import path.
        function_args: Positional arguments.
        function_kwargs: Keyword arguments.
        max_retries: How often a failed job is run again; None or 0 means never.
        queue_name: The queue to put it in.
        is_burst: Kept for the origin's callers; it has no effect on how a job is queued.
        retry_backoff: True waits 1, 2, 4, 8 ... seconds before the retries; a number doubles from that many
            seconds; False uses `retry_intervals`.
        retry_intervals: Seconds before every retry, or a list, one before each.
        cron: Repeat on this expression: minute hour day month weekday.
        time_delta: Run once, this long from now: never earlier, and up to a second or two later.
        job_timeout: Seconds the job may run before it is failed.
        description: The text shown in dashboards; by default the function's name.
        interval_seconds: Repeat every so many seconds, counted from 1970-01-01 00:00 UTC.
        cron_options: Further options of repeating jobs: `timezone`, `catch_up`, `overlap`,
            `late_after_seconds` and `cron_id`; see `CronOptions`.

    Returns:
        The queued or scheduled `rq.job.Job`; for a repeating job, its `CronEntry`.

    Raises:
        ScheduleConflictError: More than one of `cron`, `interval_seconds` and `time_delta` is given, or cron
            options without a cron.
        CronError: The cron expression or one of its options is invalid.
        SchedulerError: Another argument is invalid: `time_delta` is not a timedelta or is over a century,
            `function_args` is a string, `job_timeout` is 0 or over a year, or `queue_name` is empty.
        RetryError: A number of retries or seconds is negative or not a number, or a retry would wait for more
            than a year.
        FunctionError: A worker can't import the function.
        ArgumentError: An argument can't be pickled, or with `RQ_SERIALIZER=json` written as JSON.
        redis.RedisError: Redis does not answer, or refuses.
    """
    if sum(given is not None for given in (cron, interval_seconds, time_delta)) > 1:
        raise ScheduleConflictError
    check_options(cron_options)
    repeats = cron is not None or interval_seconds is not None
    if cron_options and not repeats:
        raise ScheduleConflictError(f"{', '.join(cron_options)} needs cron or interval_seconds")
    if time_delta is not None and not isinstance(time_delta, timedelta):
        raise SchedulerError(f"time_delta is {time_delta!r}: use a datetime.timedelta")
    if repeats:
        check_timeout(job_timeout)  # `Scheduler.cron` takes longer ones
    if not queue_name:
        raise SchedulerError("queue_name is empty: name a queue")
    if isinstance(function_args, str | bytes) or not isinstance(function_args, Iterable | None):
        raise SchedulerError(f"function_args is {type(function_args).__name__}: use a tuple, (value,)")
    retry = build_retry(max_retries, retry_backoff=retry_backoff, retry_intervals=retry_intervals)
    # Looked up at each call, so that tests can replace it; what they put in its place is called each time.
    settings = current()
    with _shared_scheduler(settings) if DataHubScheduler is Scheduler else DataHubScheduler() as scheduler:
        job: Job | CronEntry
        if repeats:
            job = scheduler.cron(
                queue_name=queue_name,
                cron=cron,
                function=function,
                args=function_args,
                kwargs=function_kwargs,
                description=description,
                timeout=job_timeout,
                retry=retry,
                interval_seconds=interval_seconds,
                **cron_options,
            )
        else:
            options: dict[str, Any] = {
                "queue_name": queue_name,
                "function": function,
                "args": function_args,
                "kwargs": function_kwargs,
                "retry": retry,
                "job_timeout": job_timeout,
            }
            if description is not None:
                options["description"] = description
            if time_delta is not None:
                job = scheduler.enqueue_in(time_delta=time_delta, **options)
            else:
                job = scheduler.enqueue(**options)
    _log.info(
        "job_scheduled",
        extra={
            "job_id": job.id,
            "function": job.func_name,
            "queue": queue_name,
            "cron": cron,
            "correlation_id": job.meta.get(CORRELATION_ID),
        },
    )
    return job
