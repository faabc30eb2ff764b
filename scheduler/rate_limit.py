"""Rate limits shared by every process: at most so many requests in any window of so many seconds."""

import functools
from types import TracebackType

from limits import RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import ConnectionPool, Redis

from scheduler.errors import SchedulerError, TooManyRequests
from scheduler.ledger import rate_limits as ledger
from scheduler.queues import shared_connection


@functools.lru_cache(maxsize=16)
def _limiter(pool: ConnectionPool) -> MovingWindowRateLimiter:
    # Built once a pool: building it registers its Lua scripts with Redis.
    return MovingWindowRateLimiter(
        RedisStorage("redis://", connection_pool=pool, key_prefix="rqmon:rate-limit")
    )


class RateLimit:
    """Take one request from a limit, or raise; as a context manager it takes it on entry.

    The window moves: no span of `expire` seconds ever admits more than `max_requests`. A request
    costs two round trips: one to take it, one to count it.

    Args:
        resource: What is limited, for example the third party's name.
        client: On whose behalf; each client of a resource has the whole limit.
        max_requests: Requests in a window, at least 1.
        expire: The window in whole seconds, at least 1.
        connection: By default the shared connection of `RQ_REDIS_URL`.

    Raises:
        SchedulerError: A number is below 1.
    """

    def __init__(
        self,
        resource: str,
        client: str,
        max_requests: int,
        expire: int = 1,
        *,
        connection: Redis | None = None,
    ) -> None:
        if max_requests < 1 or expire < 1:
            raise SchedulerError(f"max_requests is {max_requests}, expire {expire}: use whole numbers from 1")
        self._identifiers = (resource, client)
        self._item = RateLimitItemPerSecond(max_requests, expire)
        self._connection = connection or shared_connection()
        self._limiter = _limiter(self._connection.connection_pool)

    def __enter__(self) -> "RateLimit":
        """Take one request.

        Raises:
            TooManyRequests: The limit is reached.
            redis.RedisError: Redis does not answer; nothing is admitted unseen.
        """
        resource, client = self._identifiers
        admitted = self._limiter.hit(self._item, resource, client)
        ledger.count(self._connection, resource, admitted=admitted)
        if not admitted:
            raise TooManyRequests(
                f"{resource} allows {client} {self._item.amount} requests in {self._item.get_expiry()} s: "
                "try again later"
            )
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _tb: TracebackType | None
    ) -> None:
        """Nothing is given back: what was admitted was used."""
