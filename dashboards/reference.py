"""Writes docs/metrics.md: every metric of the catalog, for people."""

from rqmon.metrics import METRICS
from rqmon.states import JOB_OUTCOMES, JOB_STATUSES

_HEAD = """# Metrics

What the exporter serves on :9726, and what Prometheus adds to it. This page is generated from
`rqmon/metrics.py` by `make dashboards`.

With several servers (`RQ_REDIS_URLS`) each metric also has the label `redis`: host:port/database, or
socket/database.
Metrics from `rq-exporter` have its names, labels and values. Those from the `ledger` are counted in Redis
when a job or a cron slot ends, so they outlive workers, results and restarts of anything, unless Redis is
emptied. Redis writes to disk every second (`appendfsync everysec`): when its machine dies, what was counted
in the last second is lost. Jobs run by workers of another class than `RecordingWorker` are not counted.

| metric | type | unit | labels | meaning | source |
|---|---|---|---|---|---|
"""
_STATUSES = """
## Statuses of jobs

| status | meaning |
|---|---|
"""
_OUTCOMES = """
## Outcomes of jobs

| outcome | meaning |
|---|---|
"""


def metrics_page() -> str:
    """Return the page as Markdown."""
    rows = [
        f"| `{m.name}` | {m.type} | {m.unit} | {', '.join(f'`{label}`' for label in m.labels)} "
        f"| {m.help} | {m.source} |\n"
        for m in METRICS
    ]
    statuses = [f"| `{status}` | {meaning} |\n" for status, meaning in JOB_STATUSES.items()]
    outcomes = [f"| `{outcome}` | {meaning} |\n" for outcome, meaning in JOB_OUTCOMES.items()]
    return "".join([_HEAD, *rows, _STATUSES, *statuses, _OUTCOMES, *outcomes])
