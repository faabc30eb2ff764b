"""The errors this package raises; each class's docstring is its default message."""


class SchedulerError(Exception):
    """The job scheduler was asked for something it can't do."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class ConfigError(SchedulerError):
    """A setting in the environment is invalid."""


class OldRedisError(SchedulerError):
    """This Redis is too old."""


class FunctionError(SchedulerError):
    """A worker can't import this function: define it at the top level of a module."""


class ArgumentError(SchedulerError):
    """A job can't be stored with these arguments."""


class RetryError(SchedulerError):
    """Retries and backoff can't be negative."""


class CronError(SchedulerError):
    """The cron expression is invalid: it takes five fields, minute hour day month weekday."""


class ScheduleConflictError(SchedulerError):
    """Give one of cron, interval_seconds and time_delta: a job repeats, or runs once, later."""


class QueueStateError(SchedulerError):
    """The queue state is unknown: use queued, failed, scheduled or finished."""


class RateLimitError(SchedulerError, ValueError):
    """A rate limit takes whole numbers of 1 or more."""


class TooManyRequests(SchedulerError):  # noqa: N818 (the origin's name)
    """The rate limit has been reached: try again later."""
