"""Queue names, the process's shared connections, and emptying a queue."""

import functools
import os

import redis
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.executions import ExecutionRegistry
from rq.job import Job
from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.results import Result

from scheduler.config import DEFAULT_REDIS_URL, current
from scheduler.connections.failover import on_primary, reconnecting
from scheduler.errors import QueueStateError, SchedulerError

SHORT_RUNNING_QUEUE = "short-running"
LONG_RUNNING_QUEUE = "long-running"

QUEUE_STATES = ("queued", "failed", "scheduled", "finished")
# The jobs of every other state are in a registry of the queue; in rq-exporter's order.
REGISTRIES: dict[str, type[BaseRegistry]] = {
    "started": StartedJobRegistry,
    "finished": FinishedJobRegistry,
    "failed": FailedJobRegistry,
    "deferred": DeferredJobRegistry,
    "scheduled": ScheduledJobRegistry,
    "canceled": CanceledJobRegistry,
}

# The variable with which the pytest plugin keeps tests off the Redis of RQ_REDIS_URL.
FORBIDS_CONFIGURED_REDIS = "RQMON_FORBIDS_CONFIGURED_REDIS"

_TIMEOUT_SECONDS = 2.0

# A batch is taken and deleted in one step, so that a purge that dies leaves nothing half done; rq's own
# script does the whole queue in one step, and Redis answers nobody meanwhile.
_PURGE_BATCH = 500
_DELETE_BATCH = """
local popped = redis.call(ARGV[1], KEYS[1], ARGV[2])
if not popped then return 0 end
local step = ARGV[1] == 'ZPOPMIN' and 2 or 1
local jobs, results, executions = ARGV[3], ARGV[4], ARGV[5]
for i = 1, #popped, step do
  local id = popped[i]
  local job = jobs .. id
  local dependencies = jobs .. ':' .. id .. ':dependencies'
  redis.call('UNLINK', job, job .. ':dependents', dependencies, results .. id, executions .. id)
end
return #popped / step
"""
# What RQ, whose prefix may be another than "rq", puts before a job's id.
_PREFIXES = (
    Job.redis_job_namespace_prefix,
    Result.get_key(""),  # type: ignore[no-untyped-call]  # rq leaves it untyped
    ExecutionRegistry.key_template.format(""),
)


@functools.lru_cache(maxsize=16)
def _shared_pool(url: str) -> redis.ConnectionPool:
    pool = redis.ConnectionPool.from_url(
        url,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
        # One try: a Redis that doesn't answer is reported after one timeout, not after several.
        retry=Retry(NoBackoff(), 0),
    )
    pool.connection_class = reconnecting(pool.connection_class)
    return pool


def shared_connection(url: str | None = None) -> Redis:
    """A client on this process's one connection pool for a Redis URL.

    Closing the client gives its connection back; the pool stays, so the next call costs no new one.

    Args:
        url: By default that of `RQ_REDIS_URL`.

    Raises:
        SchedulerError: It is the URL of `RQ_REDIS_URL`, in a test that did not ask for the plugin's Redis.
    """
    configured = os.environ.get("RQ_REDIS_URL") or DEFAULT_REDIS_URL
    if (url or configured) == configured and os.environ.get(FORBIDS_CONFIGURED_REDIS):
        raise SchedulerError(
            "Code in a test asks for the Redis of RQ_REDIS_URL: ask for the fixture rq_redis in that test, or"
            " for rq_redis_for_session in a fixture of its class, module or session"
        )
    return Redis(connection_pool=_shared_pool(url or current().redis_url))


def registry(queue: Queue, state: str) -> BaseRegistry:
    """The registry that holds a queue's jobs in a state other than queued.

    Raises:
        QueueStateError: The state is none of these.
    """
    if state == "queued" or state not in QUEUE_STATES:
        raise QueueStateError(f"Unknown queue state {state!r}: use one of {', '.join(QUEUE_STATES)}")
    return REGISTRIES[state](queue=queue)


def count(queue: Queue, state: str) -> int:
    """How many jobs of a queue are in one of `QUEUE_STATES`.

    Raises:
        QueueStateError: The state is none of these.
    """
    if state == "queued":
        return queue.count
    # cleanup=False: counting must not change what it counts.
    return registry(queue, state).get_job_count(cleanup=False)


def purge(queue: Queue, state: str = "queued") -> int:
    """Delete a queue's jobs in one state.

    Args:
        queue: The queue.
        state: One of `QUEUE_STATES`.

    Returns:
        How many jobs were deleted. Jobs that arrive meanwhile may be left.

    Raises:
        QueueStateError: The state is none of these.
    """
    pop, key = ("LPOP", queue.key) if state == "queued" else ("ZPOPMIN", registry(queue, state).key)
    script = queue.connection.register_script(_DELETE_BATCH)
    removed = 0
    args = [pop, _PURGE_BATCH, *_PREFIXES]
    while batch := on_primary(queue.connection, lambda: script(keys=[key], args=args)):
        removed += batch
    return removed
