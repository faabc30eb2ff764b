"""The exporter's options: rq-exporter's flags and variables, and the format of its log."""

import argparse
import logging
import os
from collections.abc import Mapping
from importlib.metadata import version

from rqmon.entry_point import installed_version
from scheduler.config import Settings
from scheduler.errors import ConfigError
from scheduler.logs import configure

_ADDRESS = ("redis_host", "redis_port", "redis_db", "sentinel_host", "sentinel_port", "sentinel_master")
_ADDRESS_VARIABLES = {
    *("RQ_REDIS_HOST", "RQ_REDIS_PORT", "RQ_REDIS_DB"),
    *("RQ_SENTINEL_HOST", "RQ_SENTINEL_PORT", "RQ_SENTINEL_MASTER"),
}
_URL_VARIABLES = {"RQ_REDIS_URL", "RQ_REDIS_URLS"}
_PASSWORD = ("redis_pass", "redis_pass_file")
_PASSWORD_VARIABLES = {"RQ_REDIS_PASS", "RQ_REDIS_PASS_FILE"}


def of_command_line(before: Mapping[str, str]) -> argparse.Namespace:
    """Return rq-exporter's options and `redis_urls`; an address on the command line beats any variable.

    `password_counts` says that the password takes precedence over the one in the URL.

    Args:
        before: The environment without what `.env` added: an address in it beats one in `.env`.
    """
    # Imported here because the import reads the environment, which now includes .env.
    from rq_exporter.__main__ import parse_args

    found = _given()
    options: argparse.Namespace = parse_args()
    _weigh(options, found, before)
    return options


def of_environment(before: Mapping[str, str]) -> argparse.Namespace:
    """Return the same from the environment alone, for WSGI servers that have their own command line."""
    from rq_exporter import config  # reads the environment on import, as above

    options = argparse.Namespace(
        redis_url=config.REDIS_URL,
        redis_host=config.REDIS_HOST,
        redis_port=config.REDIS_PORT,
        redis_db=config.REDIS_DB,
        redis_pass=config.REDIS_PASS,
        redis_pass_file=config.REDIS_PASS_FILE,
        sentinel_host=config.REDIS_SENTINEL_HOST,
        sentinel_port=config.REDIS_SENTINEL_PORT,
        sentinel_master=config.REDIS_SENTINEL_MASTER,
        worker_class=config.RQ_WORKER_CLASS,
        queue_class=config.RQ_QUEUE_CLASS,
        log_level=config.LOG_LEVEL,
        log_format=config.LOG_FORMAT,
        log_datefmt=config.LOG_DATEFMT,
    )
    _weigh(options, set(), before)
    return options


def _weigh(options: argparse.Namespace, found: set[str], before: Mapping[str, str]) -> None:
    """Remove options overridden by a stronger source; those in `found` are on the command line."""
    variables = {name for name, value in before.items() if value}
    options.redis_urls = os.environ.get("RQ_REDIS_URLS")
    stronger_url = "redis_url" in found or bool(variables & _URL_VARIABLES)
    if "redis_url" in found:
        options.redis_urls = None
    elif found & {*_ADDRESS} or (variables & _ADDRESS_VARIABLES and not stronger_url):
        options.redis_url = options.redis_urls = None
    elif variables & _URL_VARIABLES == {"RQ_REDIS_URL"}:
        options.redis_urls = None
    options.password_counts = bool(
        found & {*_PASSWORD} or (variables & _PASSWORD_VARIABLES and not stronger_url)
    )
    # A file takes precedence over a password, as in rq-exporter, unless it comes from a weaker source.
    if found & {*_PASSWORD} == {"redis_pass"} or (
        not found & {*_PASSWORD} and variables & _PASSWORD_VARIABLES == {"RQ_REDIS_PASS"}
    ):
        options.redis_pass_file = None


def _given() -> set[str]:
    """Return the options given on the command line; answer --version, since rq-exporter prints its own."""
    parser = argparse.ArgumentParser(prog="rq-exporter", add_help=False)
    about = f"rqmon {installed_version()}, in the place of rq-exporter {version('rq-exporter')}"
    parser.add_argument("-v", "--version", action="version", version=about)
    for name in ("redis_url", *_ADDRESS, *_PASSWORD):
        parser.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS)
    return {*vars(parser.parse_known_args()[0])}


def configure_logging(options: argparse.Namespace) -> None:
    """Log JSON lines to standard error or, if a format is given, lines of text like rq-exporter's.

    Raises:
        ConfigError: The level or the format is invalid.
    """
    from rq_exporter import config

    level = options.log_level.upper()
    if level == config.DEFAULT_LOG_LEVEL and "RQ_EXPORTER_LOG_LEVEL" not in os.environ:
        level = Settings.from_env().log_level
    if level not in logging.getLevelNamesMapping():
        raise ConfigError(f"RQ_EXPORTER_LOG_LEVEL is {level!r}: use DEBUG, INFO, WARNING, ERROR or CRITICAL")
    given = (options.log_format, options.log_datefmt)
    if given == (config.DEFAULT_LOG_FORMAT, config.DEFAULT_LOG_DATEFMT):
        configure(level)
        return
    handler = logging.StreamHandler()
    try:
        lines = _Lines(*given)
        lines.format(logging.makeLogRecord({}))  # an unknown field is only noticed here
    except (ValueError, TypeError) as error:
        raise ConfigError(f"RQ_EXPORTER_LOG_FORMAT is invalid: {error}") from None
    handler.setFormatter(lines)
    logging.basicConfig(handlers=[handler], level=level, force=True)


class _Lines(logging.Formatter):
    """Lines of text, with an event's details after its name."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the library's name
        known = {*vars(logging.makeLogRecord({})), "message", "asctime"}
        extra = [f"{name}={value!r}" for name, value in vars(record).items() if name not in known]
        return " ".join([super().formatMessage(record), *extra])
