"""Commands that each run one program of the bundle until told to stop."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from rqmon.entry_point import logged_process
from scheduler import Scheduler

# The program has its own command line, including --help.
_passed_on = {"ignore_unknown_options": True, "help_option_names": []}


@click.command(context_settings=_passed_on)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def exporter(environ: Mapping[str, str], *, options: tuple[str, ...]) -> None:
    """Serve metrics for Prometheus, with rq-exporter's options; --help shows them."""
    _become("rqmon.exporter", options, environ)


@click.command(context_settings=_passed_on)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def preview(environ: Mapping[str, str], *, options: tuple[str, ...]) -> None:
    """Serve the dashboards without Grafana; --help shows the options."""
    _become("rqmon.preview", options, environ)


@click.command()
@click.argument("queues", nargs=-1, required=True, metavar="QUEUE...")
def worker(*, queues: tuple[str, ...]) -> None:
    """Run the jobs of QUEUE..., the first queue's first, each in its own process.

    Functions are imported from the current folder too.
    """
    sys.path.insert(0, str(Path.cwd()))
    with logged_process("rqmon worker"), Scheduler("fork") as scheduler:
        scheduler.work(*queues, with_scheduler=True)


def _become(module: str, options: tuple[str, ...], environ: Mapping[str, str]) -> None:
    """Become `python -m MODULE OPTIONS`, with the environment as it was given, without `.env`."""
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-P", "-m", module, *options], environ)  # noqa: S606 (our own)
