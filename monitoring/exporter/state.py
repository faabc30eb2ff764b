"""What a snapshot holds: the state of one Redis server's queues, workers, cron and counts at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.ledger.jobs import Histogram, JobCounts


@dataclass(slots=True)
class QueueState:
    """One queue, `raw` in Redis; a number that could not be read is missing from `jobs`, or None."""

    name: str
    raw: bytes
    jobs: dict[str, int] = field(default_factory=dict)
    intermediate: int | None = None
    oldest_enqueued_at: float | None = None
    overdue: int = 0
    worst_delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One registered worker; `queues` are joined by commas, the heartbeat is in Unix seconds."""

    name: str
    state: str
    queues: str
    succeeded: int
    failed: int
    working_seconds: float
    heartbeat: float | None


@dataclass(slots=True)
class CronState:
    """What is known of cron: the entries' labels by id, slots in Unix seconds, and counts."""

    entries: dict[str, dict[str, str]] = field(default_factory=dict)
    next: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    outcomes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    lateness: Histogram = field(default_factory=Histogram)
    processes: int = 0


@dataclass(slots=True)
class Snapshot:
    """Everything; `taken_at` is the server's clock in Unix seconds, `unreadable` names what was left out."""

    taken_at: float
    suspended: bool = False
    queues: list[QueueState] = field(default_factory=list)
    workers: list[WorkerState] = field(default_factory=list)
    jobs: JobCounts = field(default_factory=JobCounts)
    cron: CronState = field(default_factory=CronState)
    rate_limits: dict[tuple[str, str], int] = field(default_factory=dict)
    info: dict[str, str] = field(default_factory=dict)
    sampled: int = 0
    unaccounted: int = 0
    unreadable: list[str] = field(default_factory=list)
