"""What the dashboard reads from the environment: where Redis is, where to listen, who may log in."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rqmon.guarded_rq_dashboard import options
from rqmon.ports import DEFAULT_PORTS
from scheduler.config import Settings, check_redis_url
from scheduler.errors import ConfigError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_USERNAME = "rq"
DEFAULT_POLL_INTERVAL_MILLISECONDS = 2500  # rq-dashboard's
SENTINEL = "redis+sentinel"

_LEAST_POLL_INTERVAL_MILLISECONDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardSettings:
    """The dashboard's settings; its repr shows no password.

    Attributes:
        redis_urls: `RQ_DASHBOARD_REDIS_URL`, one or more with spaces between; else `RQ_REDIS_URL`.
        sentinel_password: `RQ_DASHBOARD_REDIS_SENTINEL_PASSWORD`, for redis+sentinel:// URLs.
        serializer: json with `RQ_DASHBOARD_JSON` or `RQ_DASHBOARD_JSON_SERIALIZER`; else `RQ_SERIALIZER`.
        host: `RQ_DASHBOARD_HOST` or `RQ_DASHBOARD_BIND`, the address to listen on.
        port: `RQ_DASHBOARD_PORT`.
        url_prefix: `RQ_DASHBOARD_URL_PREFIX`, a path before all others; empty or as in /rq.
        username: `RQ_DASHBOARD_USERNAME`.
        password: `RQ_DASHBOARD_PASSWORD`; there is no default.
        poll_interval_milliseconds: `RQ_DASHBOARD_POLL_INTERVAL`, after which an open page asks again.
        full_args: `RQ_DASHBOARD_SHOW_FULL_ARGS`, jobs are described by all of their arguments.
        disable_delete: `RQ_DASHBOARD_DISABLE_DELETE`, no job can be deleted.
    """

    redis_urls: tuple[str, ...] = field(repr=False)
    sentinel_password: str = field(repr=False)
    serializer: str
    host: str
    port: int
    url_prefix: str
    username: str
    password: str = field(repr=False)
    poll_interval_milliseconds: int
    full_args: bool
    disable_delete: bool

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "DashboardSettings":
        """Read the settings; an unset or empty variable means its default.

        Raises:
            ConfigError: A variable holds something it can't, there is no password, or it is one of
                rq-dashboard's that does nothing here.
        """
        options.check(environ)
        password = environ.get("RQ_DASHBOARD_PASSWORD")
        if not password:
            raise ConfigError("RQ_DASHBOARD_PASSWORD is not set: choose the password people log in with")
        username = environ.get("RQ_DASHBOARD_USERNAME") or DEFAULT_USERNAME
        if ":" in username:
            raise ConfigError("RQ_DASHBOARD_USERNAME has a colon, which HTTP basic auth does not allow")
        core = Settings.from_env(environ)
        redis_urls = _redis_urls(environ) or (core.redis_url,)
        sentinel_password = environ.get("RQ_DASHBOARD_REDIS_SENTINEL_PASSWORD", "")
        if sentinel_password and not any(url.startswith(SENTINEL) for url in redis_urls):
            raise ConfigError(
                "RQ_DASHBOARD_REDIS_SENTINEL_PASSWORD is set and RQ_DASHBOARD_REDIS_URL names no "
                f"{SENTINEL}:// URL: set one, or remove the password"
            )
        json = options.switch(environ, "JSON") or options.switch(environ, "JSON_SERIALIZER")
        return cls(
            redis_urls=redis_urls,
            sentinel_password=sentinel_password,
            serializer="json" if json else core.serializer,
            host=_host(environ),
            port=_port(environ),
            url_prefix=_url_prefix(environ),
            username=username,
            password=password,
            poll_interval_milliseconds=_poll_interval_milliseconds(environ),
            full_args=options.switch(environ, "SHOW_FULL_ARGS"),
            disable_delete=options.switch(environ, "DISABLE_DELETE"),
        )


def _redis_urls(environ: Mapping[str, str]) -> tuple[str, ...]:
    urls = tuple(environ.get("RQ_DASHBOARD_REDIS_URL", "").split())
    for number, url in enumerate(urls, 1):
        if not _is_redis_url(url):
            raise ConfigError(
                f"RQ_DASHBOARD_REDIS_URL, number {number}: this is not a Redis URL. Use "
                "redis://[:password@]host[:port][/db], rediss://... (TLS), unix://path or "
                f"{SENTINEL}://[:password@]host[:port][,host...]/service[/db], and spaces between several"
            )
    return urls


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme == SENTINEL:
            hosts = parts.netloc.rpartition("@")[2]
            valid = re.fullmatch(r"[^:,]+(:\d{1,5})?(,[^:,]+(:\d{1,5})?)*", hosts)
            return bool(valid and re.fullmatch(r"/[^/]+(/\d*)?", parts.path) and not parts.query)
        check_redis_url(url)
    except (ValueError, ConfigError):
        return False
    return True


def _host(environ: Mapping[str, str]) -> str:
    host, bind = environ.get("RQ_DASHBOARD_HOST"), environ.get("RQ_DASHBOARD_BIND")
    if host and bind and host != bind:
        raise ConfigError(f"RQ_DASHBOARD_HOST is {host!r} and RQ_DASHBOARD_BIND {bind!r}: set one of them")
    return host or bind or DEFAULT_HOST


def _port(environ: Mapping[str, str]) -> int:
    port = environ.get("RQ_DASHBOARD_PORT") or str(DEFAULT_PORTS["RQ_DASHBOARD_PORT"])
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise ConfigError(f"RQ_DASHBOARD_PORT is {port!r}: use a number from 1 to 65535")
    return int(port)


def _url_prefix(environ: Mapping[str, str]) -> str:
    prefix = environ.get("RQ_DASHBOARD_URL_PREFIX", "")
    if prefix.strip("/") and not re.fullmatch(r"(/[\w.~-]+)+", prefix, re.ASCII):
        raise ConfigError(
            f"RQ_DASHBOARD_URL_PREFIX is {prefix!r}: use a path such as /rq, with no / at its end"
        )
    return prefix.rstrip("/")


def _poll_interval_milliseconds(environ: Mapping[str, str]) -> int:
    interval = environ.get("RQ_DASHBOARD_POLL_INTERVAL") or str(DEFAULT_POLL_INTERVAL_MILLISECONDS)
    least = _LEAST_POLL_INTERVAL_MILLISECONDS
    if not (interval.isascii() and interval.isdigit() and len(interval) < 10 and int(interval) >= least):
        raise ConfigError(f"RQ_DASHBOARD_POLL_INTERVAL is {interval!r}: use milliseconds, from {least}")
    return int(interval)
