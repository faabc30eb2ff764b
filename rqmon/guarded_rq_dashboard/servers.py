"""The Redis servers that the dashboard shows, numbered in the order of the URLs in the settings."""

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from rqmon.guarded_rq_dashboard.settings import SENTINEL, DashboardSettings
from rqmon.ports import DEFAULT_PORTS
from scheduler.errors import ConfigError

_TIMEOUT_SECONDS = 2.0
_HEALTH_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One Redis.

    Attributes:
        address: For people: host, port and database, nothing secret.
        redis: For pages. It tries once, so that a page says after one timeout that Redis does not answer.
        health: For health checks, with a shorter timeout.
    """

    address: str
    redis: Redis
    health: Redis


def connect(settings: DashboardSettings) -> tuple[Server, ...]:
    """The servers; they are connected to at the first request, not here.

    Raises:
        ConfigError: redis-py refuses a URL.
    """
    return tuple(
        Server(
            address=_address(url),
            redis=_client(url, settings, timeout_seconds=_TIMEOUT_SECONDS),
            health=_client(url, settings, timeout_seconds=_HEALTH_TIMEOUT_SECONDS),
        )
        for url in settings.redis_urls
    )


def _client(url: str, settings: DashboardSettings, *, timeout_seconds: float) -> Redis:
    timeouts = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
    options: dict[str, Any] = {**timeouts, "retry": Retry(NoBackoff(), 0)}
    if urlsplit(url).scheme == SENTINEL:
        return _master(url, settings.sentinel_password, timeouts=timeouts, options=options)
    try:
        client = Redis.from_url(url, **options)
        # redis-py keeps unknown options of a URL until it connects, and then raises a TypeError.
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"redis-py refuses what is behind {_address(url)} in its URL ({error}): "
            "correct RQ_DASHBOARD_REDIS_URL, or RQ_REDIS_URL where that is not set"
        ) from None
    return client


def _master(
    url: str, sentinel_password: str, *, timeouts: dict[str, float], options: dict[str, Any]
) -> Redis:
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    service, _, database = parts.path.strip("/").partition("/")
    sentinels = [(host, int(port or 26379)) for host, _, port in (h.partition(":") for h in hosts.split(","))]
    return cast(
        Redis,
        Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            sentinels, sentinel_kwargs={**timeouts, "password": sentinel_password or None}
        ).master_for(
            service,
            username=unquote(username) or None,
            password=unquote(password) or None,
            db=int(database or 0),
            **options,
        ),
    )


def _address(url: str) -> str:
    parts = urlsplit(url)
    database = parse_qs(parts.query).get("db", [""])[0]  # for redis-py it counts before the path's
    if parts.scheme == "unix":
        return f"{parts.path}/{database or 0}"
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == SENTINEL:
        return f"{parts.path.strip('/')} of Sentinel {host}"
    port = f":{DEFAULT_PORTS['REDIS_PORT']}" if parts.port is None else ""
    return f"{host}{port}/{database or parts.path.strip('/') or 0}"
