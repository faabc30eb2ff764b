"""Rate limits shared by every process: at most so many requests in any window of some seconds."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from redis import ConnectionPool, Redis
from redis.commands.core import Script

from scheduler.connections.failover import on_primary
from scheduler.durations import CENTURY_SECONDS
from scheduler.errors import RateLimitError, TooManyRequests
from scheduler.ledger import rate_limits as ledger
from scheduler.queues import shared_connection
from scheduler.serializers import check_text

P = ParamSpec("P")
T = TypeVar("T")

_MICROSECONDS = 1_000_000

# KEYS: the limit's requests, newest first, in microseconds of Redis' clock; the ledger's two.
# ARGV: the window in microseconds, the most requests in it, how many to take now, the resource.
# Returns whether they were taken, the number of requests in the window, and how long the oldest stays.
# A request later than now was taken before Redis' clock was set back. It counts as taken now: the limit is
# still kept, and nobody waits longer than a window.
_SCRIPT = (
    ledger.COUNT
    + """
local window, limit, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stamps = 0
local newest = redis.call('LINDEX', KEYS[1], 0)
while newest and tonumber(newest) > now do
  redis.call('LPOP', KEYS[1])
  stamps = stamps + 1
  newest = redis.call('LINDEX', KEYS[1], 0)
end
local oldest = redis.call('LINDEX', KEYS[1], -1)
while oldest and tonumber(oldest) < now - window do
  redis.call('RPOP', KEYS[1])
  oldest = redis.call('LINDEX', KEYS[1], -1)
end
local admitted = redis.call('LLEN', KEYS[1]) + stamps + amount <= limit
if admitted then stamps = stamps + amount end
for _ = 1, stamps do redis.call('LPUSH', KEYS[1], string.format('%.0f', now)) end
-- A millisecond longer than the window: its first request counts until the window has passed.
if stamps > 0 then redis.call('PEXPIRE', KEYS[1], window / 1000 + 1) end
if amount > 0 then count(KEYS[2], KEYS[3], admitted, ARGV[4], amount) end
oldest = redis.call('LINDEX', KEYS[1], -1)
local stays = oldest and tonumber(oldest) + window - now or window
return {admitted and 1 or 0, redis.call('LLEN', KEYS[1]), stays}
"""
)


@dataclass(frozen=True, slots=True)
class _Window:
    admitted: bool
    requests: int
    oldest_stays_seconds: float  # the whole window when nothing is in it


class RateLimit:
    """A limit from which each request is taken, or refused. A context manager or decorator takes on entry.

    The window moves: no span of `expire` seconds ever admits more than `max_requests`. It is measured by
    Redis' clock, whatever the hosts' clocks say. A request costs one round trip. All who give the same four
    values share the limit; with other numbers it is another limit.

    ```python
    @RateLimit("companies-house", "importer", max_requests=600, expire=300)
    def call_api(): ...
    ```

    Args:
        resource: What is limited, for example the name of a third party.
        client: On whose behalf; each client of a resource has the full limit.
        max_requests: Requests in a window, at least 1.
        expire: The window in whole seconds, at least 1 and at most a century; None is 1.
        redis_pool: A pool or a client of the Redis to use; python-redis-rate-limit's name for it.
        connection: The same; by default the shared connection of `RQ_REDIS_URL`.

    Raises:
        RateLimitError: A number is below 1, `expire` is over a century, `redis_pool` is not a pool, or both
            it and `connection` are given.
        ArgumentError: Redis can't store the resource's name.
    """

    def __init__(
        self,
        resource: str,
        client: object,
        max_requests: int,
        expire: int | None = None,
        redis_pool: ConnectionPool | Redis | None = None,
        *,
        connection: Redis | None = None,
    ) -> None:
        expire = 1 if expire is None else expire
        for name, number in (("max_requests", max_requests), ("expire", expire)):
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise RateLimitError(f"{name} is {number!r}: use whole numbers from 1")
        if expire > CENTURY_SECONDS:  # Lua's numbers are exact for a century of microseconds, not for more
            raise RateLimitError(f"expire is {expire}: use seconds up to a century, {CENTURY_SECONDS}")
        if redis_pool is not None and connection is not None:
            raise RateLimitError("redis_pool and connection are two names for one thing: give one")
        if redis_pool is not None and not isinstance(redis_pool, Redis):
            if not isinstance(redis_pool, ConnectionPool):
                raise RateLimitError(
                    f"redis_pool is a {type(redis_pool)}: use a redis.ConnectionPool or redis.Redis"
                )
            redis_pool = Redis(connection_pool=redis_pool)
        self._resource, self._client = str(resource), str(client)
        check_text("resource", self._resource)
        self._max_requests, self._expire = max_requests, expire
        self._given_connection = connection or redis_pool
        # JSON keeps the names apart.
        name = json.dumps([self._resource, self._client, max_requests, expire], separators=(",", ":"))
        self._key = f"rqmon:rate-limit:{name}"

    @functools.cached_property
    def _connection(self) -> Redis:
        # On first use: a decorator is made when its module is imported, maybe before RQ_REDIS_URL is set, or
        # set to a test's Redis.
        return self._given_connection or shared_connection()

    @functools.cached_property
    def _script(self) -> Script:
        return self._connection.register_script(_SCRIPT)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Wrap a function so that a request is taken before each call."""

        @functools.wraps(function)
        def limited(*args: P.args, **kwargs: P.kwargs) -> T:
            with self:
                return function(*args, **kwargs)

        return limited

    def __enter__(self) -> int:
        """Take one request, as `increment_usage` does."""
        return self.increment_usage()

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _tb: TracebackType | None
    ) -> None:
        """Do nothing: an admitted request counts as used."""

    def increment_usage(self, increment_by: int = 1) -> int:
        """Take several requests at once, all or none.

        Returns:
            How many requests are in the window now.

        Raises:
            TooManyRequests: Not that many are left; none was taken.
            RateLimitError: The number is below 1, or more than the limit ever admits.
            redis.RedisError: Redis does not answer; then nothing is admitted.
        """
        whole = isinstance(increment_by, int) and not isinstance(increment_by, bool)
        if not whole or not 1 <= increment_by <= self._max_requests:
            raise RateLimitError(
                f"increment_by is {increment_by!r}: use 1 to {self._max_requests}, which is max_requests"
            )
        window = self._window(increment_by)
        if not window.admitted:
            raise TooManyRequests(
                f"{self._resource} allows {self._client} {self._max_requests} requests in {self._expire} s: "
                "try again later"
            )
        return window.requests

    def get_usage(self) -> int:
        """Return how many requests were admitted in the window that ends now."""
        return self._window().requests

    def has_been_reached(self) -> bool:
        """Whether the next request would be refused."""
        return self._window().requests >= self._max_requests

    def get_wait_time(self) -> float:
        """Return the seconds to wait before the next request.

        If the limit is reached: until the next request is admitted. Otherwise: a wait that spreads the
        remaining requests over the rest of the window.
        """
        window = self._window()
        return window.oldest_stays_seconds / max(1, self._max_requests - window.requests)

    def _window(self, amount: int = 0) -> _Window:
        keys = [self._key, ledger.COUNTS, ledger.RESOURCES]
        args: list[str | int] = [self._expire * _MICROSECONDS, self._max_requests, amount, self._resource]
        answer: Any = on_primary(self._connection, lambda: self._script(keys=keys, args=args))
        admitted, requests, stays = answer
        return _Window(bool(admitted), requests, stays / _MICROSECONDS)


class RateLimiter:
    """One limit per client: `limit(client)` returns the client's `RateLimit`.

    Args:
        resource: As for `RateLimit`.
        max_requests: As for `RateLimit`.
        expire: As for `RateLimit`.
        redis_pool: As for `RateLimit`.
    """

    def __init__(
        self,
        resource: str,
        max_requests: int,
        expire: int | None = None,
        redis_pool: ConnectionPool | Redis | None = None,
    ) -> None:
        self.resource = resource
        self.max_requests = max_requests
        self.expire = expire
        self.redis_pool = redis_pool

    def limit(self, client: object) -> RateLimit:
        """Return the limit of one client."""
        return RateLimit(self.resource, client, self.max_requests, self.expire, self.redis_pool)
