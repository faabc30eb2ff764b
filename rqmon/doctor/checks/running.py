"""Workers and what they run: stuck, dead or overrunning ones, and jobs that failed or got lost."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from rqmon.doctor.checks.silence import why_silent
from rqmon.doctor.facts import Facts
from rqmon.doctor.finding import Finding, Severity
from rqmon.doctor.phrases import counted, listed, span
from rqmon.doctor.remedies import requeue, start_worker, why

# A worker ends its job's process when the timeout has passed; then a minute later, RQ kills it.
_OVERRUN_SECONDS = 90.0
# An execution that has just expired may be renewed.
_RENEWAL_SECONDS = 5.0
_EXCEPTIONS = 5
_WITHOUT_CLASS = {"killed": "killed with its process", "unknown": "for reasons that RQ did not keep"}


def all_dead(facts: Facts, now: float) -> Iterator[Finding]:
    """Workers are registered, and none lives."""
    if not facts.workers or not all(worker.is_dead(now) for worker in facts.workers):
        return
    queues = {queue for worker in facts.workers for queue in worker.queues.split(",") if queue}
    queues |= {queue for queue, number in facts.registered.items() if number}
    yield Finding(
        Severity.BROKEN,
        f"All registered workers are dead: {listed([worker.name for worker in facts.workers])}.",
        "They ended without saying so, as when they are killed. No job runs.",
        start_worker(*(sorted(queues) or ["default"]), has_stack=facts.has_stack),
    )


def stuck(facts: Facts, now: float) -> Iterator[Finding]:
    """Workers whose heartbeats stopped."""
    if all(worker.is_dead(now) for worker in facts.workers):
        return  # that is said of all of them
    for worker in facts.workers:
        if worker.is_stuck(now):
            since = f" for {span(now - worker.heartbeat)}" if worker.heartbeat is not None else ""
            cause, command = why_silent(worker, has_stack=facts.has_stack)
            yield Finding(
                Severity.WARNING if worker.is_dead(now) else Severity.BROKEN,
                f"Worker {listed([worker.name])} of {listed(worker.queues.split(','))} "
                f"has sent no heartbeat{since}.",
                cause,
                command,
            )


def overrunning(facts: Facts, now: float) -> Iterator[Finding]:
    """Jobs that run on long after their timeout: their worker is blocked."""
    for job in facts.running:
        if job.started_at is None or not job.timeout_seconds:
            continue
        over = now - job.started_at - job.timeout_seconds
        if over > _OVERRUN_SECONDS:
            yield Finding(
                Severity.BROKEN,
                f"Job {listed([job.id])} has run {span(over)} longer than its timeout, "
                f"{span(job.timeout_seconds)}.",
                f"It blocks worker {listed([job.worker])}: code outside Python can't be interrupted.",
                why(job.id),
            )


def abandoned(facts: Facts, now: float) -> Iterator[Finding]:
    """Executions whose worker died, and that nobody gave up yet."""
    expired = {
        queue: sum(until < now - _RENEWAL_SECONDS for until in times)
        for queue, times in facts.alive_until.items()
    }
    queues = sorted(queue for queue, number in expired.items() if number)
    if queues:
        total = sum(expired.values())
        yield Finding(
            Severity.WARNING,
            f"{'1 job counts' if total == 1 else f'{total:,} jobs count'} as running in {listed(queues)} "
            "without a live worker.",
            "A live worker of the queue fails or retries them: within 30 s, and a plain rq worker in 10 min.",
            start_worker(*queues, has_stack=facts.has_stack),
        )


def unaccounted(facts: Facts, _now: float) -> Iterator[Finding]:
    """Jobs that are in no queue and no registry."""
    snapshot = facts.snapshot
    if snapshot.unaccounted:
        yield Finding(
            Severity.WARNING,
            f"{snapshot.unaccounted} of {counted(snapshot.sampled, 'job')} looked at are nowhere in RQ.",
            "They are in no queue or registry, so nobody runs them: Redis lost writes, or a key was deleted.",
            "",
        )


def failing(facts: Facts, _now: float) -> Iterator[Finding]:
    """Failed jobs, by exception, the most frequent first."""
    total = sum(queue.jobs.get("failed", 0) for queue in facts.snapshot.queues)
    seen = Counter(job.exception for job in facts.failed)
    queues: dict[str, Counter[str]] = defaultdict(Counter)
    for job in facts.failed:
        queues[job.exception][job.queue] += 1
    for exception, number in seen.most_common(_EXCEPTIONS):
        newest = next(job for job in facts.failed if job.exception == exception)
        of = (
            f"{number:,}" if total == len(facts.failed) else f"{number:,} of the newest {len(facts.failed):,}"
        )
        again = requeue(newest.queue, serializer=facts.serializer)
        yield Finding(
            Severity.WARNING,
            f"{of} failed {'job' if number == 1 else 'jobs'}: {_WITHOUT_CLASS.get(exception, exception)}, "
            f"in {listed([queue for queue, _ in queues[exception].most_common()])}.",
            f"The newest is {newest.id}. Once its cause is fixed: {again}",
            why(newest.id),
        )
