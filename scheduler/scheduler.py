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

from scheduler import jobs, queues
from scheduler.config import Settings, current
from scheduler.connections.failover import on_primary
from scheduler.cron.constants import THREE_MINUTES_IN_SECONDS
from scheduler.cron.entries import CronEntry, CronOptions
from scheduler.cron.make_entry import make_entry
from scheduler.cron.store.registry import CronRegistry, is_declaring
from scheduler.durations import CENTURY_SECONDS
from scheduler.errors import ConfigError, SchedulerError
from scheduler.jobs import make_job
from scheduler.serializers import SERIALIZERS, check_text
from scheduler.workers.strategies import death_penalty
from scheduler.workers.strategies import strategy as find_strategy

_log = logging.getLogger(__name__)


class Scheduler:
    """Enqueue, schedule, run, count and purge jobs; as a context manager it closes its connections.

    Args:
        strategy: How `work` runs jobs: "fork" (each in its own process, until stopped), "pool" (the same with
            one worker per processor) or "burst-no-fork" (in this process, until the queues are empty).
        is_async: False runs each job at once in the caller's process instead of queueing it.
        connection: By default this process's shared connection of `RQ_REDIS_URL`, or of the settings'.
        settings: By default those of the environment, read when first needed.

    Raises:
        SchedulerError: There is no such strategy.
        ConfigError: The connection decodes responses.
    """

    def __init__(
        self,
        strategy: str = "fork",
        is_async: bool = True,
        *,
        connection: Redis | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._strategy = find_strategy(strategy)
        self.is_async = is_async
        if connection and connection.connection_pool.connection_kwargs.get("decode_responses"):
            raise ConfigError("RQ needs a connection that returns bytes: make it without decode_responses")
        self._given_connection, self._given_settings = connection, settings
        self._queues: dict[str, Queue] = {}
        self._used: set[str] = set()

    # On first use: a test module may make a scheduler when it is imported, for a mock to return. It must use
    # the tests' Redis, and RQ_REDIS_URL names that only later.
    @functools.cached_property
    def _settings(self) -> Settings:
        return self._given_settings or current()

    @functools.cached_property
    def _connection(self) -> Redis:
        given = self._given_settings
        return self._given_connection or queues.shared_connection(given.redis_url if given else None)

    @functools.cached_property
    def _cron(self) -> CronRegistry:
        return CronRegistry(self._connection, settings=self._settings)

    def get_queue(self, queue_name: str) -> Queue:
        """Return the RQ queue of that name, the same object each time.

        Raises:
            ArgumentError: The name is not a string, or Redis can't store it.
        """
        check_text("queue_name", queue_name)
        queue_name = str.__str__(queue_name)  # RQ would use an enum member's name, not its value
        queue = self._queues.get(queue_name)
        if queue is None:
            queue = Queue(
                queue_name,
                is_async=self.is_async,
                connection=self._connection,
                serializer=SERIALIZERS[self._settings.serializer],
                death_penalty_class=death_penalty,  # type: ignore[arg-type]  # called as RQ calls a class
            )
            self._queues[queue_name] = queue
        return queue

    def enqueue(self, queue_name: str, function: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Job:
        """Queue a job; takes the arguments of `rq.Queue.enqueue`, but times as whole seconds.

        Only `job_timeout` may be a string such as "1h" too; -1 is no limit, and with `result_ttl` and
        `failure_ttl` for ever.

        The job carries the caller's correlation id. Its description is the function's name unless one is
        given: RQ's own would show the arguments to whoever sees the job.

        Raises:
            FunctionError: A worker can't import the function, or it is a class.
            ArgumentError: An argument can't be pickled, or with `RQ_SERIALIZER=json` written as JSON; or the
                name of the queue, the description or an id is not a string, or has a lone surrogate.
            RetryError: A number in `retry` or `repeat` is out of range.
            SchedulerError: `job_timeout`, `result_ttl`, `failure_ttl` or `ttl` is out of range.
            redis.RedisError: Redis refuses, or does not answer; in that case the job may have been queued.
        """
        queue, job, how = self._make(queue_name, function, args, kwargs)
        return jobs.enqueue(queue, job, **how)

    def enqueue_in(
        self,
        queue_name: str,
        time_delta: timedelta,
        function: Callable[..., Any] | str,
        *args: Any,
        **kwargs: Any,
    ) -> Job:
        """Schedule a job for later: a worker with a scheduler queues it then, never before.

        RQ stores whole seconds, so the time is rounded up. Otherwise as `enqueue`.

        Raises:
            SchedulerError: The time is more than a century away.
        """
        if abs(time_delta.total_seconds()) > CENTURY_SECONDS:
            raise SchedulerError(f"time_delta is {time_delta}: use less than a century")
        # RQ would round it down: in a measurement 145 of 200 jobs ran early, by up to 755 ms.
        due = datetime.fromtimestamp(math.ceil((datetime.now(UTC) + time_delta).timestamp()), UTC)
        queue, job, how = self._make(queue_name, function, args, kwargs)
        return jobs.schedule(queue, job, due, **how)

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
            interval_seconds: Instead of a cron: the seconds between slots.
            description: The text that people read; by default the function's name.
            timeout: How many seconds a job may run.
            retry: How each slot's job is retried.
            options: See `CronOptions`. `id` is rq-scheduler's name for `cron_id`.

        Returns:
            The entry: `.id`, `.description`, `.timeout`, `.meta["cron_string"]`.

        Raises:
            CronError: The expression or `timeout` is invalid, no id can be derived, or an option of
                rq-scheduler is given that this package does not have.
            FunctionError: A worker can't import the function, or it is an object or a method of one.
            ArgumentError: As for `enqueue`.
            RetryError: As for `enqueue`.
        """
        entry = make_entry(
            self.get_queue(queue_name),
            cron,
            function,
            args,
            kwargs,
            interval_seconds=interval_seconds,
            description=description,
            timeout=timeout,
            retry=retry,
            serializer=self._settings.serializer,
            **options,
        )
        on_primary(self._connection, lambda: self._cron.register(entry))
        return entry

    def scheduled_jobs(self) -> list[CronEntry]:
        """Every cron entry."""
        return self._cron.entries()

    def queued_count(self, queue_name: str) -> int:
        """Return how many jobs wait in a queue."""
        return queues.count(self.get_queue(queue_name), "queued")

    def failed_count(self, queue_name: str) -> int:
        """Return how many failed jobs a queue keeps."""
        return queues.count(self.get_queue(queue_name), "failed")

    def scheduled_count(self, queue_name: str) -> int:
        """Return how many jobs of a queue are scheduled for later, including waiting retries."""
        return queues.count(self.get_queue(queue_name), "scheduled")

    def cron_job_count(self) -> int:
        """Return how many cron entries there are."""
        return self._cron.count()

    def cancel_cron_jobs(self) -> int:
        """Remove every cron entry, those of other programs too; return how many are left, which is 0.

        Slots that come before the entries are registered again are lost. In a cron process's `schedule_jobs`
        this only warns: the process itself removes what its file no longer declares, and loses no slot.
        """
        if is_declaring():
            _log.warning("cron_jobs_kept", extra={"reason": "a starting cron process removes what is gone"})
        elif entries := self._cron.count():
            _log.warning("cron_jobs_cancelled", extra={"entries": entries})
            on_primary(self._connection, self._cron.cancel_all)
        return self._cron.count()

    def purge(self, queue_name: str, queue_state: str = "queued") -> int:
        """Delete a queue's jobs in one state (queued, failed, scheduled, finished); return how many are left.

        Raises:
            QueueStateError: The state is none of these.
        """
        queue = self.get_queue(queue_name)
        queues.purge(queue, queue_state)
        return queues.count(queue, queue_state)

    def work(self, *queue_names: str, with_scheduler: bool = False) -> bool:
        """Run jobs of these queues by the strategy, the first queue's jobs first.

        Args:
            queue_names: The queues.
            with_scheduler: Also queue scheduled jobs when their time comes.

        Returns:
            Whether any job was run; a pool can't tell, and returns True.

        Raises:
            SchedulerError: No queue is named.
        """
        if not queue_names:
            raise SchedulerError("work() was given no queue: name at least one")
        names = tuple(self.get_queue(name).name for name in queue_names)
        return self._strategy(
            names, connection=self._connection, with_scheduler=with_scheduler, settings=self._settings
        )

    def job(self, job_id: str) -> Job:
        """Return the job with that id, read from Redis.

        Raises:
            rq.exceptions.NoSuchJobError: There is none, or it has expired.
        """
        return Job.fetch(
            job_id, connection=self._connection, serializer=SERIALIZERS[self._settings.serializer]
        )

    def clear(self) -> None:
        """Delete the queued jobs of every queue this object has put a job into."""
        for queue_name in self._used:
            queues.purge(self.get_queue(queue_name))

    def __enter__(self) -> "Scheduler":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _tb: TracebackType | None
    ) -> None:
        # The shared one is made when it is first used, and may not have been.
        if connection := vars(self).get("_connection", self._given_connection):
            connection.close()

    def _make(
        self,
        queue_name: str,
        function: Callable[..., Any] | str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[Queue, Job, dict[str, Any]]:
        """Make a queue, a job that is not in it yet, and the options for putting it there."""
        parse: Any = Queue.parse_args  # typed as `enqueue` is
        options = parse("", *args, **kwargs)._asdict()  # `make_job` checks the function
        del options["func"]
        how = {name: options.pop(name) for name in ("at_front", "unique", "pipeline")}
        queue = self.get_queue(queue_name)
        job = make_job(queue, function, **options)
        self._used.add(queue_name)
        return queue, job, how


DataHubScheduler = Scheduler
