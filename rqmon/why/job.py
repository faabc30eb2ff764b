"""What is known of one job."""

from dataclasses import dataclass, field

from rqmon.doctor.facts import Dependencies, WorkerFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """A job and what is around it; times are Unix seconds.

    Attributes:
        id: Its id.
        now: By Redis' clock.
        status: As RQ writes it; empty where there is no such job.
        queue: Its queue's name.
        description: What people read.
        enqueued_at: When it was queued the last time.
        started_at: When it started the last time.
        ended_at: When it ended the last time.
        timeout_seconds: How long it may run; None without a limit.
        retries_left: None where it was given none.
        repeats_left: The same of RQ's `Repeat`.
        exception: The whole text of its last exception.
        last_run: How its last run ended: succeeded, failed, stopped or retried (it returned a `Retry`); empty
            where Redis has no result of that run.
        result_at: When its last result was written.
        expires_at: When Redis deletes it; None if not yet known.
        worker: Who ran it last.
        suspended: Whether all workers are.
        position: How many jobs of its queue come before it; None where it is not in the list.
        queued: How many jobs its queue has.
        is_between: Whether it is between its queue and a worker.
        due_at: When it is scheduled.
        heartbeat_until: Until when its running execution counts as alive.
        with_scheduler: Whether somebody looks after its queue's scheduled jobs.
        listeners: The workers of its queue.
        mean_run_seconds: Of all jobs that its queue ran; None where none were counted.
        dependencies: What it depends on.
        limit: The key of RQ's own rate limit that it has, and how many jobs are held back before it.
        serializer: What `RQ_SERIALIZER` says, for commands.
        has_stack: Whether a stack was started here.
        left_in: Where its id still is though its data is gone.
    """

    id: str
    now: float
    status: str = ""
    queue: str = ""
    description: str = ""
    enqueued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    timeout_seconds: float | None = None
    retries_left: int | None = None
    repeats_left: int | None = None
    exception: str = ""
    last_run: str = ""
    result_at: float | None = None
    expires_at: float | None = None
    worker: str = ""
    suspended: bool = False
    position: int | None = None
    queued: int = 0
    is_between: bool = False
    due_at: float | None = None
    heartbeat_until: float | None = None
    with_scheduler: bool = False
    listeners: tuple[WorkerFacts, ...] = ()
    mean_run_seconds: float | None = None
    dependencies: Dependencies = field(default_factory=Dependencies)
    limit: tuple[str, int] | None = None
    serializer: str = "pickle"
    has_stack: bool = False
    left_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a job is where it is.

    Attributes:
        id: The job's.
        status: As RQ writes it; empty where there is no such job.
        queue: Its queue's name.
        description: What people read.
        answer: In a sentence.
        details: More sentences.
        command: What to do next; empty where there is nothing to do.
    """

    id: str
    status: str
    queue: str
    description: str
    answer: str
    details: tuple[str, ...] = ()
    command: str = ""
