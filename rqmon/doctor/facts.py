"""What the doctor knows: one frozen record of the live system, gathered once and judged by the checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rqmon.crons.health import Health
from rqmon.exporter.reading.snapshot import Snapshot
from rqmon.thresholds import OVERDUE_WITH_SECONDS_LEFT
from scheduler.cron.store.listing import Listing
from scheduler.ledger.cron import SlotRecord


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """A registered worker; of one whose key is gone, only the name is known.

    Attributes:
        name: Its name.
        is_gone: Whether its key is: its last heartbeat is long ago.
        state: idle, busy, suspended or started.
        queues: Those it listens to, joined by commas.
        heartbeat: When, by its own host's clock, in Unix seconds.
        expires_at: When Redis drops its key, by Redis' clock; None if never.
        host: Its host's name.
        pid: Its process there.
        version: Of RQ.
        process: What this host says of its process, `gone` if there is none; empty where it was not asked.
    """

    name: str
    is_gone: bool = False
    state: str = ""
    queues: str = ""
    heartbeat: float | None = None
    expires_at: float | None = None
    host: str = ""
    pid: int | None = None
    version: str = ""
    process: str = ""

    def listens_to(self, queue: str) -> bool:
        """Whether it takes jobs of that queue, whose name may hold a comma too."""
        return f",{queue}," in f",{self.queues},"

    def is_stuck(self, now: float) -> bool:
        """Whether a heartbeat is long overdue: the process is dead, stopped, or hangs."""
        if self.is_gone or self.expires_at is None:
            return False
        return self.expires_at - now < OVERDUE_WITH_SECONDS_LEFT

    def is_dead(self, now: float) -> bool:
        """Whether it certainly is: its key is gone, or this host, where it ran, has no such process."""
        return self.is_gone or (self.process == "gone" and self.is_stuck(now))

    def is_live(self, now: float) -> bool:
        """Whether it can run jobs."""
        return not self.is_gone and not self.is_stuck(now)


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A failed job, of the newest of its queue, and its exception."""

    queue: str
    id: str
    exception: str


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that counts as running; when it started is told by its worker's host, in Unix seconds."""

    worker: str
    id: str
    started_at: float | None
    timeout_seconds: float | None


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What a job depends on: RQ looks at a deferred job only when one of that ends.

    Attributes:
        statuses: By id; empty for a job that is gone, which RQ passes over.
        may_fail: Whether a failed job is as good as a finished one.
    """

    statuses: Mapping[str, str] = field(default_factory=dict)
    may_fail: bool = False

    @property
    def blocking(self) -> str | None:
        """One that has ended in a way that keeps the job from being queued."""
        bad = ("stopped", "canceled") if self.may_fail else ("failed", "stopped", "canceled")
        return next((id_ for id_, status in self.statuses.items() if status in bad), None)

    @property
    def awaited(self) -> str | None:
        """One that has not ended: RQ looks at the job when it does."""
        ended = ("", "finished", "failed", "stopped", "canceled")
        return next((id_ for id_, status in self.statuses.items() if status not in ended), None)


@dataclass(frozen=True, slots=True)
class DeferredJob:
    """A deferred job and what it depends on."""

    queue: str
    id: str
    dependencies: Dependencies


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """The window of one rate limit now."""

    resource: str
    client: str
    max_requests: int
    window_seconds: int
    requests: int


@dataclass(frozen=True, slots=True)
class CronFacts:
    """The cron entries, how their processes do, and the last slots of each entry."""

    listing: Listing
    health: Health
    history: Mapping[str, tuple[SlotRecord, ...]]


@dataclass(frozen=True, slots=True)
class StoredFormats:
    """How waiting jobs are written, in a sample: the id of one by serializer, and how many."""

    counts: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that the checks judge.

    Attributes:
        snapshot: What the exporter reads.
        info: What INFO says, by its own names; empty where it may not be asked.
        database: The number of the database that is looked at.
        serializer: What `RQ_SERIALIZER` says here.
        clock_offset_seconds: This host's clock less that of Redis.
        workers: All that are registered.
        registered: How many workers are registered for a queue, dead ones too; of queues with jobs.
        with_scheduler: The queues whose scheduled jobs somebody looks after.
        alive_until: Until when executions of a queue count as alive, those that end first.
        stuck_between: Ids that stay between a queue and its workers.
        failed: The newest failed jobs of each queue, a sample.
        running: A sample.
        deferred: A sample.
        cron: None where it could not be read.
        limits: Rate limits that were found.
        formats: How waiting jobs are written.
        other_prefixes: Where RQ's queues are found under another key prefix.
        rdb_saves: Redis' setting `save`; None where it can't be asked.
        has_stack: Whether a stack was started here.
        unhealthy_services: What is wrong with services of that stack, by name; None if they did not say it
            in time.
        unknown: What could not be looked at, and why.
    """

    snapshot: Snapshot
    info: Mapping[str, str]
    database: int
    serializer: str
    clock_offset_seconds: float | None
    workers: tuple[WorkerFacts, ...]
    registered: Mapping[str, int]
    with_scheduler: frozenset[str]
    alive_until: Mapping[str, tuple[float, ...]]
    stuck_between: Mapping[str, tuple[str, ...]]
    failed: tuple[FailedJob, ...]
    running: tuple[RunningJob, ...]
    deferred: tuple[DeferredJob, ...]
    cron: CronFacts | None
    limits: tuple[LimitFacts, ...]
    formats: StoredFormats
    other_prefixes: tuple[str, ...]
    rdb_saves: str | None
    has_stack: bool = False
    unhealthy_services: Mapping[str, str] | None = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def listeners(self, queue: str) -> list[WorkerFacts]:
        """The workers whose keys say that they listen to a queue."""
        return [worker for worker in self.workers if worker.listens_to(queue)]
