"""rq-dashboard's own options: those that work here, and what to set instead of the others."""

from collections.abc import Mapping

from scheduler.errors import ConfigError

PREFIX = "RQ_DASHBOARD_"

_USED = frozenset(
    {"HOST", "BIND", "PORT", "USERNAME", "PASSWORD", "URL_PREFIX", "REDIS_URL", "REDIS_SENTINEL_PASSWORD"}
    | {"POLL_INTERVAL", "SHOW_FULL_ARGS", "DISABLE_DELETE", "JSON", "JSON_SERIALIZER"}
    | {"URL"}  # the preview's: where this dashboard is
)
_IN_THE_URL = "write it into RQ_DASHBOARD_REDIS_URL, as redis://:password@host:port/database"
_BY_SENTINEL = "set RQ_DASHBOARD_REDIS_URL=redis+sentinel://:password@host:port,host:port/service/database"
_DOES_NOTHING = "it does nothing since rq-dashboard 0.6; remove it"
_REFUSED = {
    "REDIS_HOST": _IN_THE_URL,
    "REDIS_PORT": _IN_THE_URL,
    "REDIS_PASSWORD": _IN_THE_URL,
    "REDIS_DATABASE": _IN_THE_URL,
    "REDIS_DB": _IN_THE_URL,
    "REDIS_SENTINELS": _BY_SENTINEL,
    "REDIS_MASTER_NAME": _BY_SENTINEL,
    "WEB_BACKGROUND": _DOES_NOTHING,
    "DELETE_JOBS": _DOES_NOTHING,
    "CONFIG": "set each option as a variable",
    "SETTINGS": "set each option as a variable",
    "EXTRA_PATH": "set PYTHONPATH",
    "VERBOSE": "set RQ_LOG_LEVEL=DEBUG",
    "DEBUG": "Flask's debugger runs code for whoever opens a page; set RQ_LOG_LEVEL=DEBUG",
    "JSON_ENCODER": "remove it; what JSON can't hold is shown as text",
}
_SWITCHES = frozenset({"VERBOSE", "DEBUG"})
_ON, _OFF = frozenset({"1", "true", "t", "yes", "y", "on"}), frozenset({"0", "false", "f", "no", "n", "off"})


def check(environ: Mapping[str, str]) -> None:
    """Refuse the options of rq-dashboard that do nothing here, unless they are empty or switched off.

    Raises:
        ConfigError: An option does nothing here; the message says what to set instead.
    """
    for name, instead in _REFUSED.items():
        value = environ.get(PREFIX + name)
        if value and not (name in _SWITCHES and value.lower() in _OFF):
            raise ConfigError(f"{PREFIX}{name} is not supported: {instead}")


def unknown(environ: Mapping[str, str]) -> list[str]:
    """The variables that are named like options of the dashboard, and are none."""
    known = {PREFIX + name for name in (*_USED, *_REFUSED)}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def switch(environ: Mapping[str, str], name: str) -> bool:
    """Whether an option is on.

    Raises:
        ConfigError: It is neither on nor off.
    """
    value = environ.get(PREFIX + name, "").lower()
    if value and value not in _ON | _OFF:
        raise ConfigError(f"{PREFIX}{name} is {value!r}: use 1 or 0")
    return value in _ON
