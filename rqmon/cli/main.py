"""The `rqmon` command: finds each command's module."""

import importlib
import io
import os
import sys
from typing import Any

import click

from rqmon.entry_point import one_line_errors
from rqmon.extras import what_is_missing
from scheduler.errors import SchedulerError

# name -> "module:attribute"; a module is imported only when its command is used.
COMMANDS = {
    "alerts": "rqmon.cli.alerts:alerts",
    "cron": "rqmon.cli.cron:cron",
    "dashboards": "rqmon.cli.dashboards:dashboards",
    "demo": "rqmon.cli.load_test:demo",
    "doctor": "rqmon.cli.doctor:doctor",
    "exporter": "rqmon.cli.programs:exporter",
    "health-check": "rqmon.cli.queues:health_check",
    "logs": "rqmon.cli.services:logs",
    "preview": "rqmon.cli.programs:preview",
    "purge-queue": "rqmon.cli.queues:purge_queue",
    "redis": "rqmon.cli.redis_command:redis_",
    "start": "rqmon.cli.services:start",
    "status": "rqmon.cli.services:status",
    "stop": "rqmon.cli.services:stop",
    "test-rq": "rqmon.cli.load_test:test_rq",
    "why": "rqmon.cli.doctor:why",
    "worker": "rqmon.cli.programs:worker",
}


class MissingPackageError(SchedulerError):
    """A command needs a package that is not installed."""


class LazyGroup(click.Group):
    """A group whose commands are imported on first use, so that a health check starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002, D102 (click's signature)
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002, D102
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise MissingPackageError(what_is_missing(error)) from None
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def rqmon() -> None:
    """Schedule RQ jobs, and see what happens to every one of them."""


def main(args: list[str] | None = None, **extra: Any) -> None:
    """Run the command line; invalid input or an unreachable Redis gives one line and exit code 2."""
    environ = dict(os.environ)  # as it was given, before `.env` is added to it
    if isinstance(sys.stdout, io.TextIOWrapper):  # escape what its encoding lacks, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    with one_line_errors(extra.get("prog_name", "rqmon")):
        rqmon(args=args, obj=environ, **extra)
