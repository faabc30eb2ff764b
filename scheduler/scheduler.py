"""The Scheduler: one object that enqueues, schedules, runs, counts and purges jobs."""

import functools
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Unpack

from redis import Redis
from rq import Queue, Retry
from rq.job import Job
from rq.serializers import Serializer

from scheduler import queues
from scheduler.config import Settings
from scheduler.connections.failover import on_primary
from scheduler.cron.constants import THREE_MINUTES_IN_SECONDS
from scheduler.cron.entries import (
    CronEntry,
    CronOptions,
    arguments_digest,
    check_options,
    derive_id,
)
from scheduler.cron.rq_scheduler import translated
from scheduler.cron.slots import Schedule
from scheduler.cron.store.registry import CronRegistry, is_declaring
from scheduler.durations import CENTURY_SECONDS, check_kept, check_timeout
from scheduler.errors import ArgumentError, ConfigError, CronError, FunctionError, SchedulerError
from scheduler.functions import import_path
from scheduler.logs import CORRELATION_ID, current_correlation_id
from scheduler.retry import check_repeat, check_retry
from scheduler.serializers import call_arguments, check_text, configured, job_data
from scheduler.workers.recording import DUE_AT
from scheduler.workers.strategies import death_penalty
from scheduler.workers.strategies import strategy as find_strategy

_log = logging.getLogger(__name__)


class Scheduler:
    """Enqueue, schedule, run, count and purge jobs; as a context manager it closes its connections.

    Args:
        strategy: How `work` runs jobs: "fork" (each in a process of its own, until stopped), "pool" (the
            same in one worker for each processor) or "burst-no-fork" (in this process, until the queues are
            empty).
        is_async: False runs each job at once in the caller instead of queueing it.
        connection: By default this process's shared connection of `RQ_REDIS_URL`.

    Raises:
        SchedulerError: There is no such strategy.
        ConfigError: The connection decodes what Redis answers.
    """

    def __init__(
        self, strategy: str = "fork", is_async: bool = True, *, connection: Redis | None = None
    ) -> None:
        self._strategy = find_strategy(strategy)
        self.is_async = is_async
        if connection and connection.connection_pool.connection_kwargs.get("decode_responses"):
            raise ConfigError("RQ needs a connection that answers bytes: make it without decode_responses")
        self._given_connection = connection
        self._queues: dict[str, Queue] = {}
        self._used: set[str] = set()

    @functools.cached_property
    def _connection(self) -> Redis:
        # When it is first used: one that a test module makes as it is imported, for a mock to return, goes to
        # the tests' Redis, which RQ_REDIS_URL names only later.
        return self._given_connection or queues.shared_connection()

    @functools.cached_property
    def _serializer(self) -> Serializer:
        return configured()

    @functools.cached_property
    def _cron(self) -> CronRegistry:
        return CronRegistry(self._connection)

    def get_queue(self, queue_name: str) -> Queue:
        """The RQ queue of that name, the same object each time.

        Raises:
            ArgumentError: The name is no text, or Redis can't hold it.
        """
        check_text("queue_name", queue_name)
        queue_name = str.__str__(queue_name)  # of an enum's member RQ would take the name, not the value
        queue = self._queues.get(queue_name)
        if queue is None:
            queue = Queue(
                queue_name,
                is_async=self.is_async,
                connection=self._connection,
                serializer=self._serializer,
                death_penalty_class=death_penalty,  # type: ignore[arg-type]  # called as RQ calls a class
            )
            self._queues[queue_name] = queue
        return queue

    def enqueue(self, queue_name: str, function: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Job:
        """Queue a job; what `rq.Queue.enqueue` takes, this takes.

        The job carries the caller's correlation id, and its description is the function's name
        unless one is given: RQ's own would show the arguments to whoever sees the job.

        Raises:
            FunctionError: A worker could not import the function, or it is a class.
            ArgumentError: An argument can't be pickled, or with `RQ_SERIALIZER=json` be JSON; the name of
                the queue, the description or an id is no text, or has a lone surrogate.
            RetryError: `retry` or `repeat` has a number that is out of range.
            SchedulerError: `job_timeout`, `result_ttl`, `failure_ttl` or `ttl` is.
            redis.RedisError: Redis refuses, or does not answer; then the job may have been queued.
        """
        options = self._options(function, args, kwargs)
        queue: Any = self.get_queue(queue_name)  # rq's own types allow no union of callable and path
        self._used.add(queue_name)
        job: Job = on_primary(self._connection, lambda: queue.enqueue(function, *args, **options))
        return job

    def enqueue_in(
        self,
        queue_name: str,
        time_delta: timedelta,
        function: Callable[..., Any] | str,
        *args: Any,
        **kwargs: Any,
    ) -> Job:
        """Schedule a job for later: a worker with a scheduler queues it then, never before.

        RQ keeps whole seconds, so the time is rounded up to one. Otherwise as `enqueue`.

        Raises:
            SchedulerError: The time is more than a century away.
        """
        if abs(time_delta.total_seconds()) > CENTURY_SECONDS:
            raise SchedulerError(f"time_delta is {time_delta}: use one of less than a century")
        # RQ would round it down: 145 of 200 jobs were seen to run up to 755 ms early.
        due = datetime.fromtimestamp(math.ceil((datetime.now(UTC) + time_delta).timestamp()), UTC)
        options = self._options(function, args, kwargs)
        options["meta"][DUE_AT] = due.timestamp()
        queue = self.get_queue(queue_name)
        self._used.add(queue_name)
        job: Job = on_primary(self._connection, lambda: queue.enqueue_at(due, function, *args, **options))
        return job

    def cron(
        self,
        queue_name: str,
        cron: str | None,
        function: Callable[..., Any] | str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        interval_seconds: int | None = None,
        description: str | None = None,
        timeout: int = THREE_MINUTES_IN_SECONDS,
        retry: Retry | None = None,
        **options: Unpack[CronOptions],
    ) -> CronEntry:
        """Register a job that repeats on a cron; registering it again changes nothing.

        Args:
            queue_name: Where each slot's job is queued.
            cron: Five fields: minute, hour, day, month, weekday.
            function: A function a worker can import, or its import path.
            args: Positional arguments.
            kwargs: Keyword arguments.
            interval_seconds: Instead of a cron: every so many seconds.
            description: What people read; by default the function's name.
            timeout: Seconds a job may run.
            retry: How each slot's job is retried.
            options: See `CronOptions`. `id` is `cron_id`, as rq-scheduler calls it.

        Returns:
            The entry: `.id`, `.description`, `.timeout`, `.meta["cron_string"]`.

        Raises:
            CronError: The expression or `timeout` is invalid, no id can be derived, or an option of
                rq-scheduler's is given that this package does not have.
            FunctionError: A worker could not import the function, or it is an object or a method of one.
            ArgumentError: As for `enqueue`.
            RetryError: As for `enqueue`.
        """
        path = import_path(function)
        check_retry(retry)
        # Only the path is kept: of an object that can be called, its class's.
        is_object = not isinstance(function, str) and not hasattr(function, "__qualname__")
        if is_object or getattr(function, "__self__", None) is not None:
            raise FunctionError(
                f"{path} is an object or bound to an object, which a cron entry can't keep: use a function"
            )
        queue_name = self.get_queue(queue_name).name
        options = translated(options)
        check_options(options)
        cron_id = options.get("cron_id")
        schedule = Schedule(
            cron=cron, interval_seconds=interval_seconds, timezone=options.get("timezone", "UTC")
        )
        args, kwargs = call_arguments(args, kwargs)
        data = job_data(path, args, kwargs, serializer=self._serializer)
        try:
            digest = arguments_digest(args, kwargs)
        except CronError:
            if cron_id is None:
                raise
            digest = None
        entry = CronEntry(
            id=cron_id
            if cron_id is not None
            else derive_id(function=path, queue_name=queue_name, schedule=schedule, digest=digest or ""),
            function=path,
            data=data,
            queue_name=queue_name,
            schedule=schedule,
            timeout=timeout,
            description=description or path,
            retry_max=retry.max if retry else 0,
            retry_intervals=tuple(retry.intervals) if retry else (),
            digest=digest,
            catch_up=options.get("catch_up", "latest"),
            overlap=options.get("overlap", "allow"),
            late_after_seconds=options.get("late_after_seconds", 30.0),
            serializer=Settings.from_env().serializer,
        )
        on_primary(self._connection, lambda: self._cron.register(entry))
        return entry

    def scheduled_jobs(self) -> list[CronEntry]:
        """Every cron entry."""
        return self._cron.entries()

    def queued_count(self, queue_name: str) -> int:
        """How many jobs wait in a queue."""
        return queues.count(self.get_queue(queue_name), "queued")

    def failed_count(self, queue_name: str) -> int:
        """How many failed jobs a queue keeps."""
        return queues.count(self.get_queue(queue_name), "failed")

    def scheduled_count(self, queue_name: str) -> int:
        """How many jobs of a queue are scheduled for later, retries that wait included."""
        return queues.count(self.get_queue(queue_name), "scheduled")

    def cron_job_count(self) -> int:
        """How many cron entries there are."""
        return self._cron.count()

    def cancel_cron_jobs(self) -> int:
        """Remove every cron entry, those of other programs too; how many are left, which is 0.

        A slot that comes before they are registered again is lost. In the `schedule_jobs` of a cron process
        it only warns: the process removes what its file no longer declares, and loses no slot.
        """
        if is_declaring():
            _log.warning("cron_jobs_kept", extra={"reason": "a cron process's start removes what is gone"})
        elif entries := self._cron.count():
            _log.warning("cron_jobs_cancelled", extra={"entries": entries})
            on_primary(self._connection, self._cron.cancel_all)
        return self._cron.count()

    def purge(self, queue_name: str, queue_state: str = "queued") -> int:
        """Delete a queue's jobs in one state: queued, failed, scheduled or finished; how many are left.

        Raises:
            QueueStateError: The state is none of these.
        """
        queue = self.get_queue(queue_name)
        queues.purge(queue, queue_state)
        return queues.count(queue, queue_state)

    def work(self, *queue_names: str, with_scheduler: bool = False) -> bool:
        """Run jobs of these queues, the first queue's first, as the strategy does.

        Args:
            queue_names: Which queues.
            with_scheduler: Also queue scheduled jobs when their time comes.

        Returns:
            Whether any job was run; a pool can't tell and says so.

        Raises:
            SchedulerError: No queue is named.
        """
        if not queue_names:
            raise SchedulerError("work() has no queue: name those whose jobs are to run")
        names = tuple(self.get_queue(name).name for name in queue_names)
        return self._strategy(names, connection=self._connection, with_scheduler=with_scheduler)

    def job(self, job_id: str) -> Job:
        """The job of that id, read from Redis.

        Raises:
            rq.exceptions.NoSuchJobError: There is none, or it has expired.
        """
        return Job.fetch(job_id, connection=self._connection, serializer=self._serializer)

    def clear(self) -> None:
        """Delete the queued jobs of every queue this object has put a job into."""
        for queue_name in self._used:
            queues.purge(self.get_queue(queue_name))

    def __enter__(self) -> "Scheduler":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._connection.close()

    def _options(
        self, function: Callable[..., Any] | str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        path = import_path(function)
        check_timeout(kwargs.get("job_timeout"))
        check_kept(kwargs)
        check_retry(kwargs.get("retry"))
        check_repeat(kwargs.get("repeat"))
        parse: Any = Queue.parse_args  # typed as `enqueue` is
        parsed = parse(function, *args, **kwargs)
        # RQ would ask Redis before it fails.
        given_args, given_kwargs = call_arguments(parsed.args, parsed.kwargs)
        job_data(function, given_args, given_kwargs, serializer=self._serializer)
        for name in ("description", "job_id", "group_id"):
            if kwargs.get(name) is not None:
                check_text(name, kwargs[name])
        if not isinstance(kwargs.get("meta"), Mapping | None):
            raise ArgumentError(f"meta is {kwargs['meta']!r:.200}: use a dict")
        # Only where they were given so, else RQ takes them for the function's own.
        if "args" in kwargs or "kwargs" in kwargs:
            kwargs = {**kwargs, "args": given_args, "kwargs": given_kwargs}
        meta = {CORRELATION_ID: current_correlation_id(), **(kwargs.get("meta") or {})}
        return {**kwargs, "description": kwargs.get("description") or path, "meta": meta}


DataHubScheduler = Scheduler
