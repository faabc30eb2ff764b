"""Jobs that wait and should not have to: nobody listens, nobody schedules, what they wait for failed."""

from collections.abc import Iterator

from rqmon.doctor.checks.silence import why_silent
from rqmon.doctor.facts import Facts
from rqmon.doctor.finding import Finding, Severity
from rqmon.doctor.phrases import counted, listed, span
from rqmon.doctor.remedies import rq, start_worker, uses_of, why
from rqmon.thresholds import OLDEST_JOB_AGE, REFUSED_SHARE, SCHEDULED_DELAY


def suspended(facts: Facts, _now: float) -> Iterator[Finding]:
    """Somebody ran `rq suspend`."""
    if facts.snapshot.suspended:
        jobs = sum(queue.jobs.get("queued", 0) for queue in facts.snapshot.queues)
        yield Finding(
            Severity.BROKEN,
            f"All workers are suspended; jobs that wait: {jobs:,}.",
            "Somebody ran rq suspend. Workers finish what they run, and take nothing new.",
            rq("resume"),
        )


def without_worker(facts: Facts, now: float) -> Iterator[Finding]:
    """Queues with jobs to which no live worker listens."""
    queued = {queue.name: queue.jobs["queued"] for queue in facts.snapshot.queues if queue.jobs.get("queued")}
    heard = {name: facts.listeners(name) for name in queued}
    names = [name for name, listeners in heard.items() if not any(it.is_live(now) for it in listeners)]
    if not names:
        return
    names.sort(key=lambda name: -queued[name])
    jobs = sum(queued[name] for name in names)
    stuck = sum(bool(heard[name]) for name in names)
    dead = sum(not heard[name] and facts.registered.get(name, 0) > 0 for name in names)
    alone = len(names) == 1
    causes = [
        f"All that listened to {'it' if alone else f'{dead:,} of them'} died." if dead else "",
        f"All that listen to {'it' if alone else f'{stuck:,} of them'} send no heartbeats." if stuck else "",
        f"No worker is registered for {'it' if alone else 'them'}." if not dead and not stuck else "",
    ]
    yield Finding(
        Severity.BROKEN,
        f"No worker listens to {listed(names)}: {'1 job waits' if jobs == 1 else f'{jobs:,} jobs wait'}.",
        " ".join(filter(None, causes)),
        start_worker(*names, has_stack=facts.has_stack),
    )


def not_taken(facts: Facts, now: float) -> Iterator[Finding]:
    """Queues whose workers are idle, and take nothing."""
    if facts.snapshot.suspended:
        return
    for queue in facts.snapshot.queues:
        live = [it for it in facts.listeners(queue.name) if it.is_live(now)]
        waited = now - (queue.oldest_enqueued_at or now)
        if (
            live
            and queue.jobs.get("queued")
            and waited > OLDEST_JOB_AGE.warns_from
            and {w.state for w in live} == {"idle"}
        ):
            cause, command = why_silent(live[0], has_stack=facts.has_stack)
            yield Finding(
                Severity.BROKEN,
                f"A job of {listed([queue.name])} has waited for {span(waited)}, and its workers are idle.",
                f"They are blocked: {listed([it.name for it in live])}. {cause}",
                command,
            )


def between(facts: Facts, _now: float) -> Iterator[Finding]:
    """Jobs that a worker took and did not start."""
    for queue, ids in facts.stuck_between.items():
        yield Finding(
            Severity.BROKEN,
            f"Between {listed([queue])} and a worker {'hangs' if len(ids) == 1 else 'hang'} "
            f"{counted(len(ids), 'job')}: {listed(ids)}.",
            "The worker died, or was stopped, as it took them. Another one fails them within two minutes; "
            "then they can be queued again.",
            why(ids[0]) if facts.listeners(queue) else start_worker(queue, has_stack=facts.has_stack),
        )


def without_scheduler(facts: Facts, _now: float) -> Iterator[Finding]:
    """Scheduled jobs that nobody queues when their time comes."""
    alone = [
        queue
        for queue in facts.snapshot.queues
        if queue.jobs.get("scheduled") and queue.name not in facts.with_scheduler
    ]
    if not alone:
        return
    overdue = sum(queue.overdue for queue in alone)
    names = [queue.name for queue in alone]
    scheduled = sum(queue.jobs["scheduled"] for queue in alone)
    yield Finding(
        Severity.BROKEN if overdue else Severity.WARNING,
        f"No scheduler runs for {listed(names)}: {counted(scheduled, 'scheduled job')}, {overdue:,} overdue.",
        "A worker queues scheduled jobs and retries only when it is started with its scheduler.",
        start_worker(*names, has_stack=facts.has_stack),
    )


def overdue(facts: Facts, _now: float) -> Iterator[Finding]:
    """Scheduled jobs that are late though a scheduler runs."""
    for queue in facts.snapshot.queues:
        late = queue.worst_delay_seconds > SCHEDULED_DELAY.acts_from
        if late and queue.overdue and queue.name in facts.with_scheduler:
            yield Finding(
                Severity.BROKEN,
                f"{counted(queue.overdue, 'scheduled job')} of {listed([queue.name])} should be queued, late "
                f"by up to {span(queue.worst_delay_seconds)}.",
                "A scheduler holds the queue's lock and queues nothing: it hangs, or died a moment ago.",
                start_worker(queue.name, has_stack=facts.has_stack),
            )


def deferred(facts: Facts, _now: float) -> Iterator[Finding]:
    """Deferred jobs whose dependency ended badly, or that depend on nothing that will end."""
    lost = [job for job in facts.deferred if job.dependencies.blocking or not job.dependencies.awaited]
    if not lost:
        return
    first = lost[0]
    job = f"Job {listed([first.id])} of {listed([first.queue])}"
    blocking = first.dependencies.blocking
    status = first.dependencies.statuses[blocking] if blocking else ""
    if blocking:
        cause = f"{job} waits for {listed([blocking])}, which is {status}."
    else:
        cause = f"{job} waits for nothing any more: what it depends on has ended or is gone."
    yield Finding(
        Severity.WARNING,
        f"{'1 deferred job' if len(lost) == 1 else f'{len(lost):,} deferred jobs'} will not be queued.",
        f"{cause} RQ looks at a deferred job only when one that it depends on ends.",
        why(blocking if blocking and status in ("failed", "stopped") else first.id),
    )


def limited(facts: Facts, _now: float) -> Iterator[Finding]:
    """Rate limits that are used up, and refuse more than they admit."""
    for limit in facts.limits:
        admitted = facts.snapshot.rate_limits.requests.get((limit.resource, "admitted"), 0)
        refused = facts.snapshot.rate_limits.requests.get((limit.resource, "refused"), 0)
        if limit.requests >= limit.max_requests and refused > (refused + admitted) * REFUSED_SHARE.acts_from:
            yield Finding(
                Severity.WARNING,
                f"The rate limit of {listed([limit.resource])} for {listed([limit.client])} is used up: "
                f"{limit.requests} of {limit.max_requests} in {span(limit.window_seconds)}.",
                f"More is asked than it admits: {refused:,} refused, {admitted:,} admitted so far. Queue "
                "fewer such jobs at once (time_delta, retry_backoff), or raise "
                f"max_requests={limit.max_requests} where the limit is made, if the third party allows that.",
                uses_of(limit.resource),
            )
