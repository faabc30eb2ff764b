"""Schedule RQ jobs: now, later, or on a cron."""

from scheduler.config import Settings
from scheduler.cron.entries import CronEntry, CronOptions
from scheduler.cron.process import CronProcess
from scheduler.errors import (
    ArgumentError,
    ConfigError,
    CronError,
    FunctionError,
    QueueStateError,
    RateLimitError,
    RetryError,
    ScheduleConflictError,
    SchedulerError,
    TooManyRequests,
)
from scheduler.job_scheduler import job_scheduler
from scheduler.limits.rate_limit import RateLimit, RateLimiter
from scheduler.queues import LONG_RUNNING_QUEUE, SHORT_RUNNING_QUEUE
from scheduler.retry import exponential_backoff_intervals, retry_backoff_intervals, retry_with_backoff
from scheduler.scheduler import DataHubScheduler, Scheduler
from scheduler.workers.strategies import RecordingWorker

__all__ = [
    "LONG_RUNNING_QUEUE",
    "SHORT_RUNNING_QUEUE",
    "ArgumentError",
    "ConfigError",
    "CronEntry",
    "CronError",
    "CronOptions",
    "CronProcess",
    "DataHubScheduler",
    "FunctionError",
    "QueueStateError",
    "RateLimit",
    "RateLimitError",
    "RateLimiter",
    "RecordingWorker",
    "RetryError",
    "ScheduleConflictError",
    "Scheduler",
    "SchedulerError",
    "Settings",
    "TooManyRequests",
    "exponential_backoff_intervals",
    "job_scheduler",
    "retry_backoff_intervals",
    "retry_with_backoff",
]
