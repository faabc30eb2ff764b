"""The oldest Redis that works, and the check for it when a program starts."""

import contextlib
from collections.abc import Iterable
from typing import Any

from redis.exceptions import ResponseError
from rq.worker import BaseWorker

from scheduler.errors import OldRedisError

OLDEST_REDIS = "6.2"
# Whether the command is known does not depend on the key. Every part has the right to read this one.
_NO_KEY = "rqmon:none"


def zmscore(connection: Any, key: str, members: Iterable[str | bytes]) -> list[float | None]:
    """Return the members' scores by ZMSCORE, the newest Redis command that this package sends.

    Raises:
        OldRedisError: Redis does not know it.
    """
    try:
        scores: list[float | None] = connection.zmscore(key, list(members))
    except ResponseError as error:
        raise old_redis(error) or error from None
    return scores


def old_redis(error: Exception) -> OldRedisError | None:
    """The error for this answer to ZMSCORE if Redis is too old; None if it knows the command."""
    if "unknown command" not in str(error).lower():
        return None
    return OldRedisError(
        f"This Redis is older than {OLDEST_REDIS}, as it does not know ZMSCORE: "
        f"use Redis {OLDEST_REDIS} or later, or Valkey"
    )


def require_supported(connection: Any) -> None:
    """Refuse a Redis that is too old, by the commands it knows: forks number their versions differently.

    Raises:
        OldRedisError: Redis is too old.
        redis.RedisError: Redis does not answer.
    """
    with contextlib.suppress(ResponseError):  # it knows the command, but this user may lack the right to it
        zmscore(connection, _NO_KEY, [""])


class Supported(BaseWorker):
    """A worker that does not start on a Redis that is too old."""

    def register_birth(self) -> None:
        """Register, unless Redis is too old."""
        require_supported(self.connection)
        super().register_birth()  # type: ignore[no-untyped-call]  # rq leaves it untyped
