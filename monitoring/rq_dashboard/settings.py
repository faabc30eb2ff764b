"""What the dashboard reads from the environment: where Redis is, where to listen, who may log in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.config import Settings
from scheduler.errors import ConfigError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9181
DEFAULT_USERNAME = "rq"


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardSettings:
    """The dashboard's settings; its repr shows no password.

    Attributes:
        redis_url: `RQ_REDIS_URL`.
        serializer: `RQ_SERIALIZER`.
        host: `RQ_DASHBOARD_HOST`, the address to listen on.
        port: `RQ_DASHBOARD_PORT`.
        username: `RQ_DASHBOARD_USERNAME`.
        password: `RQ_DASHBOARD_PASSWORD`; there is no default.
    """

    redis_url: str = field(repr=False)
    serializer: str
    host: str
    port: int
    username: str
    password: str = field(repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "DashboardSettings":
        """Read the settings; an unset or empty variable means its default.

        Raises:
            ConfigError: A variable holds something it can't, or there is no password.
        """
        password = environ.get("RQ_DASHBOARD_PASSWORD")
        if not password:
            raise ConfigError("RQ_DASHBOARD_PASSWORD is not set: choose the password people log in with")
        username = environ.get("RQ_DASHBOARD_USERNAME") or DEFAULT_USERNAME
        if ":" in username:
            raise ConfigError(f"RQ_DASHBOARD_USERNAME is {username!r}: HTTP basic auth allows no colon in it")
        port = environ.get("RQ_DASHBOARD_PORT") or str(DEFAULT_PORT)
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ConfigError(f"RQ_DASHBOARD_PORT is {port!r}: use a number from 1 to 65535")
        core = Settings.from_env(environ)
        return cls(
            redis_url=core.redis_url,
            serializer=core.serializer,
            host=environ.get("RQ_DASHBOARD_HOST") or DEFAULT_HOST,
            port=int(port),
            username=username,
            password=password,
        )
