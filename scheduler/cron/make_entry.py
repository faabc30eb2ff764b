"""Makes a cron entry of what a caller asks for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

from rq import Queue, Retry

from scheduler.cron.entries import CronEntry, CronOptions, arguments_digest, check_options, derive_id
from scheduler.cron.rq_scheduler import translated
from scheduler.cron.slots import Schedule
from scheduler.errors import CronError, FunctionError
from scheduler.functions import import_path
from scheduler.jobs import make_job
from scheduler.retry import check_retry


def make_entry(
    queue: Queue,
    cron: str | None,
    function: Callable[..., Any] | str,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    *,
    interval_seconds: int | None,
    description: str | None,
    timeout: int,
    retry: Retry | None,
    serializer: str,
    **options: Unpack[CronOptions],
) -> CronEntry:
    """Make an entry, not registered yet, from the arguments of `Scheduler.cron`.

    Each slot's job goes to `queue`, whose serializer, named by `serializer`, writes the arguments.

    Raises:
        SchedulerError: As `Scheduler.cron`.
    """
    path = import_path(function)
    check_retry(retry)
    # Only the path is stored; for a callable object it would be its class's.
    is_object = not isinstance(function, str) and not hasattr(function, "__qualname__")
    if is_object or getattr(function, "__self__", None) is not None:
        raise FunctionError(
            f"{path} is an object or bound to an object, which a cron entry can't store: use a function"
        )
    given: dict[str, Any] = {**translated(options)}
    check_options(given)
    cron_id = given.pop("cron_id", None)
    zone = {"timezone": given.pop("timezone")} if "timezone" in given else {}
    schedule = Schedule(cron=cron, interval_seconds=interval_seconds, **zone)
    job = make_job(queue, path, args, kwargs)
    try:
        digest = arguments_digest(job.args, job.kwargs)
    except CronError:
        if cron_id is None:
            raise
        digest = None
    if cron_id is None:
        cron_id = derive_id(function=path, queue_name=queue.name, schedule=schedule, digest=digest or "")
    return CronEntry(
        id=cron_id,
        function=path,
        data=job.data,
        digest=digest,
        queue_name=queue.name,
        schedule=schedule,
        timeout=timeout,
        description=description or path,
        retry_max=retry.max if retry else 0,
        retry_intervals=tuple(retry.intervals) if retry else (),
        serializer=serializer,
        **given,
    )
