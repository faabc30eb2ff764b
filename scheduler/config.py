"""The settings of this package: frozen, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from scheduler.errors import ConfigError

DEFAULT_REDIS_URL = "redis://localhost:6379/0"
DEFAULT_LOG_LEVEL = "INFO"
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What this package reads from the environment.

    Attributes:
        redis_url: `RQ_REDIS_URL` (rq-exporter's variable too), a redis://, rediss:// or unix:// URL.
        log_level: `RQ_LOG_LEVEL`, a level of the logging module.
    """

    redis_url: str = DEFAULT_REDIS_URL
    log_level: str = DEFAULT_LOG_LEVEL

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; an unset or empty variable means its default.

        Raises:
            ConfigError: A variable holds something it can't; the message never shows a password.
        """
        redis_url = environ.get("RQ_REDIS_URL") or DEFAULT_REDIS_URL
        try:
            parts = urlsplit(redis_url)
            database = parts.path.strip("/")
            valid = parts.scheme == "unix" and bool(parts.path)
            valid |= (
                parts.scheme in ("redis", "rediss")
                and bool(parts.netloc)
                and (not database or database.isdecimal())
            )
            _ = parts.port  # raises ValueError when it is no number
        except ValueError:
            valid = False
        if not valid:
            raise ConfigError(
                "RQ_REDIS_URL is not a Redis URL: use redis://[:password@]host[:port][/db], "
                "rediss://... (TLS) or unix://path"
            )
        log_level = (environ.get("RQ_LOG_LEVEL") or DEFAULT_LOG_LEVEL).upper()
        if log_level not in _LOG_LEVELS:
            raise ConfigError(f"RQ_LOG_LEVEL is {log_level!r}: use one of {', '.join(_LOG_LEVELS)}")
        return cls(redis_url=redis_url, log_level=log_level)
