"""What a snapshot holds: the state of one Redis server at one moment, frozen.

Of what there are thousands it holds named tuples: one is made in 0.24 us, a frozen dataclass in 1.8.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from scheduler.cron.store.overview import EntryLabels
from scheduler.ledger.job_counts import JobCounts
from scheduler.ledger.rate_limits import RateLimitCounts
from scheduler.ledger.reading import Histogram


class QueueState(NamedTuple):
    """One queue; a number that could not be read is missing from `jobs`, or None.

    `jobs` are by the statuses of rq_jobs; times are in Unix seconds.
    """

    name: str
    jobs: Mapping[str, int]
    canceled: int | None
    intermediate: int | None
    oldest_enqueued_at: float | None
    overdue: int
    worst_delay_seconds: float


class WorkerState(NamedTuple):
    """One registered worker; `queues` are joined by commas, the heartbeat is in Unix seconds.

    None is what could not be read, or of the heartbeat, what is not there.
    """

    name: str
    state: str
    queues: str
    succeeded: float | None
    failed: float | None
    working_seconds: float | None
    heartbeat: float | None


@dataclass(frozen=True, slots=True)
class CronState:
    """What is known of cron: the entries' labels by id, slots in Unix seconds, and counts.

    `registered` are all entries, those included that are too many to be shown.
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
    """What INFO says, each number by INFO's own name; None is what it does not say, or can't be read.

    Attributes:
        last_write_ok: Whether the last write to disk went well, by its kind: `rdb` or `aof`.
        keys: By the number of the database.
    """

    used_memory: float | None = None
    maxmemory: float | None = None
    evicted_keys: float | None = None
    connected_clients: float | None = None
    total_commands_processed: float | None = None
    uptime_in_seconds: float | None = None
    aof_enabled: float | None = None
    rdb_last_save_time: float | None = None
    last_write_ok: Mapping[str, bool] = field(default_factory=dict)
    keys: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything; `taken_at` is the server's clock in Unix seconds.

    Attributes:
        refusing: By the code of `scheduler.connections.refusals`, whether Redis refuses so; what is not
            known is missing.
        refused: Names what this user has no right to read.
        unreadable: Names what was left out because it is not as RQ and this project write it.
        left_out: How many of what there is too much of are not shown, by what they are.
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
        """The codes with which Redis refuses now."""
        return [code for code, whether in self.refusing.items() if whether]
