"""What a snapshot holds: the state of one Redis server's queues, workers, cron and counts at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from redis.exceptions import ResponseError

from scheduler.connections.refusals import refusal
from scheduler.ledger.jobs import Histogram, JobCounts


@dataclass(slots=True)
class QueueState:
    """One queue, `raw` in Redis; a number that could not be read is missing from `jobs`, or None.

    `ends` are the ids of its first and last job.
    """

    name: str
    raw: bytes
    jobs: dict[str, int] = field(default_factory=dict)
    intermediate: int | None = None
    ends: list[bytes] = field(default_factory=list)
    oldest_enqueued_at: float | None = None
    overdue: int = 0
    worst_delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerState:
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


@dataclass(slots=True)
class CronState:
    """What is known of cron: the entries' labels by id, slots in Unix seconds, and counts.

    `registered` are all entries, those included that are too many to be shown.
    """

    registered: int = 0
    entries: dict[str, dict[str, str]] = field(default_factory=dict)
    next: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    outcomes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    lateness: Histogram = field(default_factory=Histogram)
    processes: int = 0
    passed_over: int = 0


@dataclass(slots=True)
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
    suspended: bool = False
    queues: list[QueueState] = field(default_factory=list)
    workers: list[WorkerState] = field(default_factory=list)
    jobs: JobCounts = field(default_factory=JobCounts)
    cron: CronState = field(default_factory=CronState)
    rate_limits: dict[tuple[str, str], int] = field(default_factory=dict)
    info: dict[str, str] = field(default_factory=dict)
    sampled: int = 0
    unaccounted: int = 0
    refusing: dict[str, bool] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def refuses(self) -> list[str]:
        """The codes with which Redis refuses now."""
        return [code for code, whether in self.refusing.items() if whether]

    def failed(self, name: str, error: Exception) -> None:
        """Note what Redis answered an error for."""
        code = refusal(ResponseError(str(error)))
        if code is None:
            self.unreadable.append(name)
        else:
            self.refusing[code] = True
            self.refused.append(name)
