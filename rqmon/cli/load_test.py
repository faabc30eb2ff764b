"""Commands that make jobs: a load test that proves the queues work, and a demo that fills the dashboards."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import click
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rqmon.demo import jobs
from rqmon.demo.queue_load import queue_load_test
from scheduler import LONG_RUNNING_QUEUE, SHORT_RUNNING_QUEUE, Scheduler, job_scheduler
from scheduler.cron.store.registry import CronRegistry
from scheduler.errors import CronError
from scheduler.queues import shared_connection


@click.command("test-rq")
@click.option(
    "--generated_jobs",
    "--generated-jobs",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="How many rate-limited jobs.",
)
def test_rq(*, generated_jobs: int) -> None:
    """Queue a health check on each queue, many rate-limited jobs, and a job that reports how they went.

    The limit is reached on purpose: a job that meets it fails.
    """
    shared_connection().ping()  # a Redis that is away is said before the bar is drawn
    with _progress("Queueing") as progress:
        task = progress.add_task("", total=generated_jobs)
        done = queue_load_test(generated_jobs, advance=lambda jobs: progress.advance(task, jobs))
    click.echo(done)
    _say_where_to_watch()


# kind of job -> how often, and how it is queued
_DEMO: dict[str, tuple[int, Callable[[random.Random], object]]] = {
    "fast": (40, lambda rng: job_scheduler(jobs.work_for, (rng.uniform(0.005, 0.2),))),
    "slow": (
        12,
        lambda rng: job_scheduler(jobs.work_for, (rng.uniform(1, 4),), queue_name=LONG_RUNNING_QUEUE),
    ),
    "failing": (8, lambda _rng: job_scheduler(jobs.fail, max_retries=None)),
    "retrying": (12, lambda _rng: job_scheduler(jobs.fail_once, retry_intervals=[5, 10, 20])),
    "scheduled": (
        12,
        lambda rng: job_scheduler(jobs.work_for, (0.05,), time_delta=timedelta(seconds=rng.uniform(10, 60))),
    ),
    "rate-limited": (16, lambda _rng: job_scheduler(jobs.call_third_party, retry_backoff=10)),
}


# id -> where its jobs run, seconds between its slots and those that a job takes: too many of the second one,
# so that some of its slots are skipped
_DEMO_CRONS = {
    "demo-often": (SHORT_RUNNING_QUEUE, 10, 0.05),
    "demo-overlapping": (LONG_RUNNING_QUEUE, 5, 8),
}


@click.command()
@click.option(
    "--seconds",
    type=click.IntRange(1, 3600),
    default=120,
    show_default=True,
    help="How long to go on.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same jobs.")
def demo(*, seconds: int, seed: int) -> None:
    """Queue a seeded mix of jobs for a while, so that every panel of the dashboards shows something.

    Cron entries are among it, which are removed at its end.
    """
    rng = random.Random(seed)  # noqa: S311 (a demo, nothing secret)
    kinds = list(_DEMO)
    weights = [weight for weight, _ in _DEMO.values()]
    made = dict.fromkeys(kinds, 0)
    _say_where_to_watch()
    with _crons(), _progress("Demo, seconds") as progress:
        task = progress.add_task("", total=seconds)
        for _ in range(seconds):
            # Mostly a trickle, now and then a burst that a worker needs a while for.
            for kind in rng.choices(kinds, weights, k=rng.choice((1, 2, 3, 4, 5, 30))):
                _DEMO[kind][1](rng)
                made[kind] += 1
            progress.advance(task)
            time.sleep(1)
    click.echo(f"Queued {sum(made.values())} jobs: {', '.join(f'{n} {kind}' for kind, n in made.items())}.")


@contextmanager
def _crons() -> Iterator[None]:
    """Entries with slots within seconds, for as long as the block lasts, SIGTERM included."""
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        with Scheduler(connection=shared_connection()) as scheduler:
            for cron_id, (queue, interval_seconds, run_seconds) in _DEMO_CRONS.items():
                scheduler.cron(
                    queue,
                    None,
                    jobs.work_for,
                    (run_seconds,),
                    interval_seconds=interval_seconds,
                    cron_id=cron_id,
                    overlap="skip",
                )
        yield
    finally:
        registry = CronRegistry(shared_connection())
        for cron_id in _DEMO_CRONS:
            try:
                registry.remove(cron_id)
            except CronError:  # somebody removed it
                pass
            except RedisError:
                click.echo(
                    f"The demo's {cron_id} goes on: remove it once Redis answers, "
                    f"with .venv/bin/rqmon cron remove {cron_id}",
                    err=True,
                )
        signal.signal(signal.SIGTERM, before)


def _progress(what: str) -> Progress:
    return Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _say_where_to_watch() -> None:
    grafana, dashboard = os.environ.get("GRAFANA_PORT", "4000"), os.environ.get("RQ_DASHBOARD_PORT", "9181")
    click.echo(
        f"Watch: http://127.0.0.1:{grafana} (dashboards), http://127.0.0.1:{dashboard} (jobs), make logs."
    )
