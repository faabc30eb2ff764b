"""Finds the project's data files, in a checkout and in an installed copy."""

from importlib.resources import files
from pathlib import Path

from scheduler.errors import ConfigError

# Commands that are Makefile targets in a checkout.
_TARGETS = {"start": "start-rq-mon", "stop": "stop-rq-mon", "logs": "logs"}


def is_checkout() -> bool:
    """Whether this is the project's own tree; a wheel has a copy of the tree's files instead."""
    return not _copies().is_dir()


def data(name: str) -> Path:
    """Return the path of a file or folder, given its path in the tree: `monitoring/redis/redis.conf`."""
    return (_top_level() if is_checkout() else _copies()) / name


def project() -> Path:
    """Return the folder that a stack belongs to: the checkout or, for an installed copy, the current folder.

    Raises:
        ConfigError: The current folder was deleted.
    """
    if is_checkout():
        return _top_level()
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError("The current folder was deleted: change to one that exists") from None


def command_line(words: str) -> str:
    """Return how to run a command of rqmon here: in a checkout, `start` is `make start-rq-mon`."""
    if not is_checkout():
        return f"rqmon {words}"
    return f"make {_TARGETS[words]}" if words in _TARGETS else f".venv/bin/rqmon {words}"


def _package() -> Path:
    return Path(str(files("rqmon")))


def _top_level() -> Path:
    return _package().parent


def _copies() -> Path:
    return _package() / "data"
