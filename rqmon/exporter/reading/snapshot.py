"""A snapshot: the state of one Redis server at one moment, frozen, its mappings too.

Things that come in thousands are named tuples: one is made in 0.24 us, a frozen dataclass in 1.8.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scheduler.cron.store.overview import EntryLabels
from scheduler.ledger.job_counts import JobCounts
from scheduler.ledger.rate_limits import RateLimitCounts
from scheduler.ledger.reading import Histogram


class QueueState(NamedTuple):
    """One queue; a number that could not be read is missing from `jobs`, or None.

    `jobs` has the statuses of rq_jobs as keys; times are in Unix seconds, infinite where
    there is no such job.
    """

    name: str
    jobs: Mapping[str, int]
    canceled: int | None
    intermediate: int | None
    oldest_enqueued_at: float | None
    overdue: int
    worst_delay_seconds: float
    longest_running_since: float | None
    oldest_deferred_since: float | None


class WorkerState(NamedTuple):
    """One registered worker; `queues` are joined by commas, the heartbeat is in Unix seconds.

    `is_overdue` says whether its heartbeat is, by its own interval. None is a value that could not be read,
    or a missing heartbeat.
    """

    name: str
    state: str
    queues: str
    succeeded: float | None
    failed: float | None
    working_seconds: float | None
    heartbeat: float | None
    is_overdue: bool | None


@dataclass(frozen=True, slots=True)
class CronState:
    """The state of cron: the entries' labels by id, slots in Unix seconds, and counts.

    `registered` counts all entries, including those too many to be shown.
    """

    registered: int
    entries: Mapping[str, EntryLabels]
    next: Mapping[str, float]
    last: Mapping[str, float]
    outcomes: Mapping[str, Mapping[str, int]]
    lateness: Histogram
    processes: int
    passed_over: int


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What INFO says, each number under INFO's own name; None if it is missing or can't be read.

    Attributes:
        last_write_ok: Whether the last write to disk succeeded, by its kind: `rdb` or `aof`.
        keys: The number of keys, by database number.
    """

    last_write_ok: Mapping[str, bool]
    keys: Mapping[str, float]
    used_memory: float | None = None
    maxmemory: float | None = None
    evicted_keys: float | None = None
    connected_clients: float | None = None
    total_commands_processed: float | None = None
    uptime_in_seconds: float | None = None
    aof_enabled: float | None = None
    rdb_last_save_time: float | None = None
    rdb_changes_since_last_save: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it; `taken_at` is the server's clock in Unix seconds.

    Attributes:
        refusing: Whether Redis refuses, by the codes of `scheduler.connections.refusals`; unknown ones are
            missing.
        refused: The names of what this user has no right to read.
        unreadable: The names of what was left out because it is not in the form that RQ and this project
            write.
        left_out: How many things are not shown because there are too many, by kind.
    """

    taken_at: float
    suspended: bool
    queues: tuple[QueueState, ...]
    workers: tuple[WorkerState, ...]
    jobs: JobCounts
    cron: CronState
    rate_limits: RateLimitCounts
    info: ServerInfo
    sampled: int
    unaccounted: int
    refusing: Mapping[str, bool]
    refused: tuple[str, ...]
    unreadable: tuple[str, ...]
    left_out: Mapping[str, int]

    @property
    def refuses(self) -> list[str]:
        """Return the codes with which Redis refuses now."""
        return [code for code, whether in self.refusing.items() if whether]
