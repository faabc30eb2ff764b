"""What every program of the bundle does: read `.env`, and report errors in one line."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dotenv import load_dotenv
from redis.exceptions import RedisError, ResponseError
from rq import Queue

from rqmon.env_file import read_env_file
from rqmon.resources import command_line
from rqmon.terminal import say
from scheduler import SchedulerError, Settings
from scheduler.connections.refusals import describe, refusal
from scheduler.errors import ConfigError
from scheduler.logs import configure


@contextlib.contextmanager
def one_line_errors(program: str) -> Iterator[None]:
    """Turn invalid input or a missing Redis into one line and exit code 2.

    First read the current folder's `.env`, or the file that `RQMON_ENV_FILE` names. A variable that is
    already set wins over the file's.
    """
    try:
        text = read_env_file(Path(os.environ.get("RQMON_ENV_FILE") or ".env"))
        load_dotenv(stream=io.StringIO(text))
        _check_key_prefix()
        yield
    except (SchedulerError, RedisError) as error:
        say(f"{program}: {_message(error)}", err=True)
        sys.exit(2)


@contextlib.contextmanager
def logged_process(program: str) -> Iterator[None]:
    """Do what `one_line_errors` does, and write everything the process logs as JSON lines."""
    with one_line_errors(program):
        configure(Settings.from_env().log_level)
        yield


def _check_key_prefix() -> None:
    """Refuse a prefix that RQ does not use: all that is in Redis would seem to be missing.

    RQ 2 has only its own. RQ 3 reads the variable when it is imported, before `.env` is read.
    """
    given, used = os.environ.get("RQ_KEY_PREFIX"), Queue.redis_queue_namespace_prefix.removesuffix(":queue:")
    if given not in (None, used):
        raise ConfigError(
            f"RQ_KEY_PREFIX is {given!r}, and RQ {version('rq')} uses {used!r}: RQ 3 takes it from the"
            " environment, not from .env, and RQ 2 not at all"
        )


def installed_version() -> str:
    """Return this package's version; empty if its files are only copied, as in the image."""
    try:
        return version("rqmon")
    except PackageNotFoundError:
        return ""


def _message(error: Exception) -> str:
    if isinstance(error, SchedulerError):
        return str(error)
    is_silent = refusal(error) is None and not isinstance(error, ResponseError)
    return describe(error) + (f", or run {command_line('start')}" if is_silent else "")
