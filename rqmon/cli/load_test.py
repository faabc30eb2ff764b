"""Commands that queue jobs: a load test that shows that queues work, a demo that fills the dashboards."""

import os
import time

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rqmon.demo.mix import Mix, demo_crons
from rqmon.demo.queue_load import GENERATED_JOBS, queue_load_test
from rqmon.ports import DEFAULT_PORTS
from rqmon.resources import command_line
from rqmon.terminal import say
from scheduler.queues import shared_connection


@click.command("test-rq")
@click.option(
    "--generated_jobs",
    "--generated-jobs",
    type=click.IntRange(1, 1_000_000),
    default=GENERATED_JOBS,
    show_default=True,
    help="How many rate-limited jobs.",
)
def test_rq(*, generated_jobs: int) -> None:
    """Queue a health check on each queue, many rate-limited jobs, and a job that reports how they went.

    The limit is reached on purpose: a job that hits it fails.
    """
    shared_connection().ping()  # report a missing Redis before the bar is drawn
    with _progress("Queueing") as progress:
        task = progress.add_task("", total=generated_jobs)
        done = queue_load_test(generated_jobs, advance=lambda jobs: progress.advance(task, jobs))
    click.echo(done)
    _say_where_to_watch()


@click.command()
@click.option(
    "--seconds",
    type=click.IntRange(1, 3600),
    default=120,
    show_default=True,
    help="How long it lasts.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same jobs.")
def demo(*, seconds: int, seed: int) -> None:
    """Queue a seeded mix of jobs for a while, so that every panel shows something.

    It includes cron entries, which are removed at the end.
    """
    mix = Mix(seed)
    _say_where_to_watch()
    with demo_crons() as leave_if_told, _progress("Demo, seconds") as progress:
        task = progress.add_task("", total=seconds)
        for _ in range(seconds):
            leave_if_told()
            mix.queue_one_second()
            progress.advance(task)
            time.sleep(1)
    kinds = ", ".join(f"{number} {kind}" for kind, number in mix.made.items())
    click.echo(f"Queued {sum(mix.made.values())} jobs: {kinds}.")


def _progress(what: str) -> Progress:
    return Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _say_where_to_watch() -> None:
    grafana, dashboard = (
        os.environ.get(name) or DEFAULT_PORTS[name] for name in ("GRAFANA_PORT", "RQ_DASHBOARD_PORT")
    )
    say(
        f"Watch: http://127.0.0.1:{grafana} (dashboards), http://127.0.0.1:{dashboard} (jobs), "
        f"{command_line('logs')}."
    )
