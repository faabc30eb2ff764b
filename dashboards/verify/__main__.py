"""`python -m dashboards.verify`: sends every query of the generated dashboards to a real Prometheus.

It starts its own native stack, puts the demo's load on it, sends the queries, compares `rq_jobs` with Redis,
prints a table and exits 1 if something is wrong. It takes a minute and a half.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from redis import Redis
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rq import Queue

from dashboards.paths import DASHBOARDS, ROOT
from dashboards.verify.own_stack import OwnStack, own_stack
from dashboards.verify.panel_checks import Row, State, Verdict, ask_all
from rqmon.demo.jobs import queue_health_check
from rqmon.entry_point import one_line_errors
from rqmon.preview.grafana.library import load_dashboards
from rqmon.preview.grafana.model import Dashboard
from rqmon.stack.native.supervisor import Supervisor
from rqmon.states import CANCELED, JOB_STATUSES
from scheduler import SHORT_RUNNING_QUEUE, Scheduler

STATUSES = (*JOB_STATUSES, CANCELED)
_REST_SECONDS = 60.0
# Two of the longest graph steps (a minute), and a little more.
_PATIENCE_SECONDS = 150.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the stack, load it, send the queries, print the results, stop it."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.verify", description=__doc__)
    parser.add_argument(
        "--dashboards", type=Path, default=ROOT / DASHBOARDS, help="a folder of dashboards' JSON"
    )
    parser.add_argument("--seconds", type=int, default=60, help="how long to load it before asking")
    options = parser.parse_args(arguments)
    os.environ.pop("RQ_SERIALIZER", None)  # it may be another stack's
    with one_line_errors("verify-dashboards"):
        try:
            dashboards = load_dashboards(options.dashboards)
        except ValueError as error:
            parser.error(str(error))
        with own_stack() as stack:
            tables = _verify(stack, dashboards, seconds=options.seconds)
    problems = [
        f"{title}: {panel} ({query})"
        for title, rows in tables
        for panel, query, verdict in rows
        if verdict.is_problem
    ]
    for title, rows in tables:
        _print(title, rows)
    if problems:
        sys.exit(f"{len(problems)} problems: {', '.join(problems)}")


def _verify(
    stack: OwnStack, dashboards: Mapping[str, Dashboard], *, seconds: int
) -> list[tuple[str, list[Row]]]:
    variables = stack.config.variables
    url = f"http://127.0.0.1:{variables['PROMETHEUS_PORT']}"
    with Redis.from_url(variables["RQ_REDIS_URL"]) as redis:
        add_to_the_demo(redis)
        # The load goes on meanwhile, so that queries about the present have answers too.
        demo = stack.run("demo", "--seconds", str(seconds + int(_PATIENCE_SECONDS) + 60))
        try:
            _wait(demo, seconds)
            tables = asyncio.run(ask_all(url, dashboards.values(), patience_seconds=_PATIENCE_SECONDS))
        finally:
            demo.terminate()
            demo.communicate()
        for service in ("rq_sched", "rq_short", "rq_long"):
            Supervisor(stack.config).stop(service)
        tables.append(("Redis, at rest", list(_compare(redis, url))))
    return tables


def add_to_the_demo(redis: Redis) -> None:
    """Add what the demo leaves out: crons every few seconds, and deferred and canceled jobs."""
    scheduler = Scheduler(connection=redis)
    scheduler.cron(SHORT_RUNNING_QUEUE, None, queue_health_check, interval_seconds=5, cron_id="verify")
    queue = scheduler.get_queue(SHORT_RUNNING_QUEUE)
    later = queue.enqueue_in(timedelta(hours=1), queue_health_check)
    queue.enqueue(queue_health_check, depends_on=later)
    queue.enqueue_in(timedelta(hours=1), queue_health_check).cancel()


def _wait(demo: "subprocess.Popen[str]", seconds: float) -> None:
    try:
        said, _ = demo.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return
    sys.exit(f"The demo ended early: {said}")


def _compare(redis: Redis, url: str) -> Iterator[Row]:
    """Compare the totals of `rq_jobs` by status with RQ's registries, while nothing changes."""
    deadline = time.monotonic() + _REST_SECONDS
    while True:
        held, at = _held(redis), time.time()
        seen = _scraped_after(at, url)
        if (held == _held(redis) and not held["started"]) or time.monotonic() > deadline:
            break
    for status in STATUSES:
        is_right = seen.get(status, 0) == held[status]
        details = f"Prometheus {seen.get(status, 0):g}, Redis {held[status]}"
        yield "Jobs", status, Verdict(State.OK if is_right else State.OUT_OF_RANGE, details)


def _held(redis: Redis) -> dict[str, int]:
    held = dict.fromkeys(STATUSES, 0)
    for queue in Queue.all(connection=redis):
        held["queued"] += queue.count
        for status in STATUSES[1:]:
            held[status] += getattr(queue, f"{status}_job_registry").get_job_count(cleanup=False)
    return held


def _scraped_after(at: float, url: str) -> dict[str, float]:
    """Return the jobs of each status in the first scrape after a moment."""
    deadline = time.monotonic() + _REST_SECONDS
    while time.monotonic() < deadline:
        [scrape] = _query(url, "min(timestamp(rq_jobs))") or [{"value": (0, "0")}]
        if float(scrape["value"][1]) > at:
            # Canceled is not a status in rq-exporter, and so not in rq_jobs.
            canceled = 'label_replace(sum(rq_jobs_canceled), "status", "canceled", "", "")'
            found = _query(url, f"sum by (status) (rq_jobs) or {canceled}")
            return {sample["metric"]["status"]: float(sample["value"][1]) for sample in found}
        time.sleep(0.5)
    return {}


def _query(url: str, expr: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expr}, trust_env=False)
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def _print(title: str, rows: Sequence[Row]) -> None:
    table = Table(title=title, box=None, title_justify="left", header_style="bold", padding=(0, 2, 0, 0))
    for column in ("panel", "query", "answer"):
        table.add_column(column, overflow="fold")
    for panel, query, verdict in rows:
        table.add_row(panel, query, Text(str(verdict), style="red" if verdict.is_problem else "green"))
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table, "")


if __name__ == "__main__":
    main()
