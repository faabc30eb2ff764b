"""The oldest Redis that works, asked for where a program starts."""

import contextlib
from collections.abc import Iterable
from typing import Any

from redis.exceptions import ResponseError
from rq.worker import BaseWorker

from scheduler.errors import OldRedisError

OLDEST_REDIS = "6.2"


def zmscore(connection: Any, key: str, members: Iterable[str | bytes]) -> list[float | None]:
    """The members' scores, by ZMSCORE: of all commands that this package sends, the newest in Redis.

    Raises:
        OldRedisError: Redis does not know it.
    """
    try:
        scores: list[float | None] = connection.zmscore(key, list(members))
    except ResponseError as error:
        raise old_redis(error) or error from None
    return scores


def old_redis(error: Exception) -> OldRedisError | None:
    """The error for this answer to ZMSCORE, if Redis is too old; None where it knows the command."""
    if "unknown command" not in str(error).lower():
        return None
    return OldRedisError(
        f"This Redis is older than {OLDEST_REDIS}, as it does not know ZMSCORE: "
        f"use Redis {OLDEST_REDIS} or later, or Valkey"
    )


def require_supported(connection: Any) -> None:
    """Refuse a Redis that is too old, by what it knows: forks number their versions in their own way.

    Raises:
        OldRedisError: It is.
        redis.RedisError: It does not answer.
    """
    with contextlib.suppress(ResponseError):  # it knows the command, and this user may lack the right to it
        zmscore(connection, "rqmon:cron:next", [""])


class Supported(BaseWorker):
    """A worker that does not start on a Redis that is too old."""

    def register_birth(self) -> None:
        """Register, unless Redis is too old."""
        require_supported(self.connection)
        super().register_birth()  # type: ignore[no-untyped-call]  # rq leaves it untyped
