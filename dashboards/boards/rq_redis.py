"""The "RQ Redis" dashboard: whether Redis answers, has room, and keeps RQ's data.

The tile "Redis" is in rows/shared.py.
"""

from grafanalib import core

from dashboards.kit import panels, theme
from dashboards.kit.common import dashboard
from dashboards.kit.queries import known, low, peak, peak_total, rate, select
from dashboards.kit.theme import CRITICAL, INFO, NEUTRAL, OK, UP_OR_DOWN, WARNING, above, steps
from dashboards.rows import shared
from rqmon.metrics import (
    RQ_JOBS,
    RQ_JOBS_CANCELED,
    RQ_REDIS_AOF_ENABLED,
    RQ_REDIS_COMMANDS_PROCESSED_TOTAL,
    RQ_REDIS_CONNECTED_CLIENTS,
    RQ_REDIS_EVICTED_KEYS_TOTAL,
    RQ_REDIS_KEYS,
    RQ_REDIS_LAST_SAVE_TIMESTAMP_SECONDS,
    RQ_REDIS_LAST_WRITE_OK,
    RQ_REDIS_MEMORY_MAX_BYTES,
    RQ_REDIS_MEMORY_USED_BYTES,
    RQ_REDIS_UP,
    RQ_REDIS_UPTIME_SECONDS,
)
from rqmon.thresholds import REDIS_MEMORY_SHARE, REDIS_YOUNG_SECONDS

# The label is empty if there is only one server.
SERVER = "Redis {{redis}}"
OK_OR_FAILED = theme.text_for_values({0: ("Failed", CRITICAL), 1: ("OK", OK)})


def build() -> core.Dashboard:
    """Return all sections, from the first question to the last detail."""
    return dashboard(
        "RQ Redis",
        "rq-redis",
        "Whether Redis answers, has room, and keeps what RQ gives it.",
        [*now(), *availability(), *memory(), *load()],
        without=("queue", "function", "rq_dashboard"),
    )


def now() -> list[core.Panel]:
    """Does Redis answer, have room, and keep its data?"""
    used = select(RQ_REDIS_MEMORY_USED_BYTES)
    # Of all queues, whichever are chosen: the memory is used by all of them.
    held = " + ".join(f'sum({metric.name}{{redis=~"$redis"}})' for metric in (RQ_JOBS, RQ_JOBS_CANCELED))
    return [
        panels.row("Is Redis well?"),
        shared.redis_up(),
        panels.stat(
            "Memory of maximum",
            "Memory used as a share of what Redis may use (maxmemory). At 100% it refuses jobs, or drops "
            "keys: purge old jobs or give it more. No limit: the machine's memory is the limit.",
            {"Memory": known(f"max({used} / ({select(RQ_REDIS_MEMORY_MAX_BYTES)} > 0)) or 0 * max({used})")},
            unit="percentunit",
            decimals=0,
            thresholds=steps(OK, *above(REDIS_MEMORY_SHARE)),
            mappings=theme.text_for_values({0: ("No limit", NEUTRAL)}),
        ),
        panels.stat(
            "Memory for each job",
            "All memory divided by the jobs that Redis holds, whichever queue is chosen. About 2 kB with "
            "thousands of small jobs. Much more: large arguments or results, or keys that are not RQ's.",
            {"Memory": known(f"sum({used}) / ({held} > 0)")},
            unit="decbytes",
            thresholds=steps(INFO),
        ),
        panels.stat(
            "Evicted keys",
            "Keys that Redis dropped for lack of memory since it started. Above zero: jobs may be lost; set "
            "maxmemory-policy to noeviction and give it more memory.",
            {"Evicted": known(f"sum({select(RQ_REDIS_EVICTED_KEYS_TOTAL)})")},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, CRITICAL)),
        ),
        panels.stat(
            "Append-only file",
            "Whether Redis writes each change to disk. Off: a restart loses every job since the last "
            "snapshot; set appendonly to yes.",
            {"File": known(f"min({select(RQ_REDIS_AOF_ENABLED)})")},
            unit="short",
            thresholds=steps(CRITICAL, (1, OK)),
            mappings=theme.text_for_values({0: ("Off", CRITICAL), 1: ("On", OK)}),
        ),
        panels.stat(
            "Uptime",
            "How long the Redis that started last has run. Short and nobody restarted it: it crashed or was "
            "killed for its memory; see its log.",
            {"Uptime": known(f"min({select(RQ_REDIS_UPTIME_SECONDS)})")},
            unit="s",
            thresholds=steps(WARNING, (REDIS_YOUNG_SECONDS, OK)),
        ),
    ]


def availability() -> list[core.Panel]:
    """Availability and writes to disk over time."""
    return [
        panels.row("Availability and writes to disk"),
        panels.state_timeline(
            "Redis availability",
            "Whether each Redis answered each scrape. Down now and then: it is overloaded, swaps, or "
            "restarts; see Uptime history and its log.",
            {SERVER: low(RQ_REDIS_UP, by="redis")},
            mappings=UP_OR_DOWN,
            height=4,
        ),
        panels.state_timeline(
            "Last write to disk",
            "Whether the last write of the append-only file (aof) and of the snapshot (rdb) went well. "
            "Failed: the disk is full or read-only; Redis may refuse jobs until it is mended.",
            {"{{kind}} {{redis}}": low(RQ_REDIS_LAST_WRITE_OK, by="kind, redis")},
            mappings=OK_OR_FAILED,
            height=5,
        ),
    ]


def memory() -> list[core.Panel]:
    """What it holds."""
    return [
        panels.row("Memory and keys"),
        panels.timeseries(
            "Memory",
            "What Redis uses, and what it may use where there is a limit. Rising while jobs do not: results "
            "or failed jobs are kept too long, or other programs write here.",
            {
                "Used {{redis}}": peak(RQ_REDIS_MEMORY_USED_BYTES, by="redis"),
                "Limit {{redis}}": f"{peak(RQ_REDIS_MEMORY_MAX_BYTES, by='redis')} > 0",
            },
            unit="decbytes",
            width=8,
        ),
        panels.timeseries(
            "Keys by database",
            "Keys in each database; a job is one, a kept result one more. Rising without end: see which "
            "jobs are kept, and for how long.",
            {"db{{db}} {{redis}}": peak_total(RQ_REDIS_KEYS, by="db, redis")},
            unit="short",
            width=8,
        ),
        panels.timeseries(
            "Age of the last snapshot",
            "Time since Redis last saved a snapshot, or started. As this project ships it none are saved: "
            "the append-only file does it. Rising where `save` is set: see Last write to disk.",
            {SERVER: f"time() - {low(RQ_REDIS_LAST_SAVE_TIMESTAMP_SECONDS, by='redis')}"},
            unit="s",
            width=8,
        ),
    ]


def load() -> list[core.Panel]:
    """What it does."""
    return [
        panels.row("Load"),
        panels.timeseries(
            "Commands",
            "Commands Redis runs a second. It does some 100,000 of the small ones that RQ uses. Rising with "
            "the same jobs: something polls too often.",
            {SERVER: rate(RQ_REDIS_COMMANDS_PROCESSED_TOTAL, by="redis")},
            unit="ops",
            width=8,
        ),
        panels.timeseries(
            "Clients",
            "Open connections; a worker holds a few. Rising without end: a program connects and never "
            "disconnects. At Redis's maxclients, 10,000, nobody gets in.",
            {SERVER: peak(RQ_REDIS_CONNECTED_CLIENTS, by="redis")},
            unit="short",
            width=8,
        ),
        panels.timeseries(
            "Uptime history",
            "Time since Redis started. Each fall to zero is a restart: match it with deploys, and see "
            "Redis's log for the others.",
            {SERVER: low(RQ_REDIS_UPTIME_SECONDS, by="redis")},
            unit="s",
            width=8,
        ),
    ]
