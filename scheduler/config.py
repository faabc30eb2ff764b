"""The settings of this package: frozen, read once from the environment."""

import codecs
import functools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from threading import TIMEOUT_MAX
from urllib.parse import parse_qs, urlsplit

from redis import ConnectionPool
from redis.exceptions import RedisError

from scheduler.errors import ConfigError

DEFAULT_REDIS_URL = "redis://localhost:6379/0"
DEFAULT_LOG_LEVEL = "INFO"
DEFAULT_SERIALIZER = "pickle"
# From jobs of milliseconds to those of hours.
DEFAULT_JOB_BUCKETS_SECONDS = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    *(120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0),
)
_URL_FORMS = "use redis://[:password@]host[:port][/db], rediss://... (TLS) or unix://path"
# redis-py takes these as objects; from a URL they are text, which fails when it is used. RQ reads bytes.
_NOT_IN_A_URL = {
    *("retry", "retry_on_error", "parser_class", "command_packer", "event_dispatcher", "ssl_ocsp_context"),
    *("credential_provider", "redis_connect_func", "socket_type", "socket_keepalive_options"),
    *("cache", "cache_config", "decode_responses"),
}
_TIMEOUTS = ("socket_timeout", "socket_connect_timeout")
_SERIALIZERS = ("pickle", "json")
_VARIABLES = ("RQ_REDIS_URL", "RQ_LOG_LEVEL", "RQ_JOB_BUCKETS", "RQ_SERIALIZER")
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What this package reads from the environment.

    Attributes:
        redis_url: `RQ_REDIS_URL`, which rq-exporter reads too: a redis://, rediss:// or unix:// URL.
        log_level: `RQ_LOG_LEVEL`, a level of the logging module.
        job_buckets_seconds: `RQ_JOB_BUCKETS`, ascending upper bounds for the histograms of wait and run
            times, separated by commas.
        serializer: `RQ_SERIALIZER`, how jobs are stored in Redis: pickle or json.
    """

    redis_url: str = DEFAULT_REDIS_URL
    log_level: str = DEFAULT_LOG_LEVEL
    job_buckets_seconds: tuple[float, ...] = DEFAULT_JOB_BUCKETS_SECONDS
    serializer: str = DEFAULT_SERIALIZER

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; an unset or empty variable means its default.

        Raises:
            ConfigError: A variable is invalid; the message never shows a password.
        """
        redis_url = environ.get("RQ_REDIS_URL") or DEFAULT_REDIS_URL
        log_level = (environ.get("RQ_LOG_LEVEL") or DEFAULT_LOG_LEVEL).upper()
        job_buckets = environ.get("RQ_JOB_BUCKETS")
        serializer = (environ.get("RQ_SERIALIZER") or DEFAULT_SERIALIZER).lower()
        check_redis_url(redis_url)
        if log_level not in _LOG_LEVELS:
            raise ConfigError(f"RQ_LOG_LEVEL is {log_level!r}: use one of {', '.join(_LOG_LEVELS)}")
        buckets: tuple[float, ...] = DEFAULT_JOB_BUCKETS_SECONDS
        if job_buckets:
            try:
                buckets = tuple(float(part) for part in job_buckets.split(","))
            except ValueError:
                buckets = ()
        # nan is not below any number.
        if not all(low < high for low, high in pairwise((0.0, *buckets, math.inf))) or not buckets:
            raise ConfigError("RQ_JOB_BUCKETS is not a list of ascending seconds: use, say, 0.1,1,10,60,600")
        if serializer not in _SERIALIZERS:
            raise ConfigError(f"RQ_SERIALIZER is {serializer!r}: use {' or '.join(_SERIALIZERS)}")
        return cls(
            redis_url=redis_url, log_level=log_level, job_buckets_seconds=buckets, serializer=serializer
        )


def current() -> Settings:
    """Return the settings of this process's environment, for callers that were given none.

    They are checked once: with redis-py 8, checking a URL takes as long as queueing a job. A variable that
    has changed since is noticed here; objects made earlier keep their settings.

    Raises:
        ConfigError: As `Settings.from_env`.
    """
    return _of(tuple(map(os.environ.get, _VARIABLES)))


@functools.lru_cache(maxsize=16)
def _of(values: tuple[str | None, ...]) -> Settings:
    given = zip(_VARIABLES, values, strict=True)
    return Settings.from_env({name: value for name, value in given if value is not None})


def check_redis_url(redis_url: str) -> None:
    """Refuse what redis-py could not use as a URL of Redis, before anything connects.

    Raises:
        ConfigError: It is none, or an option in it is invalid. The message speaks of RQ_REDIS_URL, and never
            shows a password.
    """
    try:
        parts = urlsplit(redis_url)
        database = parts.path.strip("/")
        valid = parts.scheme == "unix" and bool(parts.path)
        valid |= (
            parts.scheme in ("redis", "rediss")
            and bool(parts.netloc)
            and (not database or database.isdecimal())
        )
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"RQ_REDIS_URL is not a Redis URL: {_URL_FORMS}")
    _check_url_options(redis_url)


def _check_url_options(redis_url: str) -> None:
    """Refuse what redis-py would refuse on first connecting: make a connection, but don't use it.

    Raises:
        ConfigError: An option is invalid. The message never shows what is before the question mark.
    """
    try:
        query = parse_qs(urlsplit(redis_url).query, keep_blank_values=True)
        if unusable := _NOT_IN_A_URL & query.keys():
            raise ValueError(f"{min(unusable)} can't be given in a URL")
        if query.get("protocol", ["3"])[0] not in ("2", "3"):
            raise ValueError("protocol must be either 2 or 3")
        pool = ConnectionPool.from_url(redis_url)
        pool.make_connection()
        options = pool.connection_kwargs
        for name in _TIMEOUTS:
            if not 0 < (1 if options.get(name) is None else options[name]) < TIMEOUT_MAX:
                raise ValueError(f"{name} is {options[name]}, not a number of seconds")
        codecs.lookup(options.get("encoding", "utf-8"))
        codecs.lookup_error(options.get("encoding_errors", "strict"))
        options.get("host", "").encode("idna")  # as it is looked up
    except (TypeError, ValueError, LookupError, RedisError) as error:
        # For an option that it does not know: "... got an unexpected keyword argument 'foo'".
        reason = str(error).rpartition("got an ")[2]
        raise ConfigError(f"RQ_REDIS_URL is a URL that redis-py refuses ({reason}): {_URL_FORMS}") from None
