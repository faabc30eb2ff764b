"""Puts into words what a job waits for, or why it ended as it did; one function a status, nothing is read."""

from collections.abc import Callable
from datetime import UTC, datetime

from rqmon.doctor.phrases import counted, listed, span
from rqmon.doctor.remedies import requeue, rq, start_worker, why
from rqmon.doctor.tracebacks import class_of, last_line
from rqmon.resources import command_line
from rqmon.thresholds import OLDEST_JOB_AGE, SCHEDULED_DELAY
from rqmon.why.job import Answer, JobFacts


def answer(job: JobFacts) -> Answer:
    """What there is to say of a job."""
    said, details, command = _BY_STATUS.get(job.status, _unknown)(job)
    return Answer(job.id, job.status, job.queue, job.description, said, tuple(filter(None, details)), command)


Said = tuple[str, tuple[str, ...], str]


def _queued(job: JobFacts) -> Said:
    if job.heartbeat_until is not None:
        if job.heartbeat_until >= job.now:
            return (
                f"A worker took it from {listed([job.queue])}, and starts it now or died at that moment.",
                (),
                "",
            )
        return (
            f"A worker took it from {listed([job.queue])} and died before it ran.",
            ("A live worker of the queue fails it soon, or runs it again if it has a retry left.",),
            _start_or_look(job),
        )
    if job.is_between:
        return (
            f"A worker took it from {listed([job.queue])} and did not start it: it died at that moment.",
            ("A live worker of the queue fails it within two minutes; then it can be queued again.",),
            _start_or_look(job),
        )
    if job.position is None:
        return (
            f"It counts as queued, and is not in {listed([job.queue])}: it is lost, or is being started now.",
            ("A Redis that lost writes leaves such jobs. Queue it again from your program if it stays so.",),
            command_line("doctor"),
        )
    waited = f"It has waited for {span(job.now - job.enqueued_at)}." if job.enqueued_at else ""
    place = f"It is number {job.position + 1:,} of {job.queued:,} in {listed([job.queue])}."
    live = [it for it in job.listeners if it.is_live(job.now)]
    if job.suspended:
        return "All workers are suspended: somebody ran rq suspend.", (place, waited), rq("resume")
    if not live:
        said = f"No worker listens to {listed([job.queue])}."
        if job.listeners:
            names = listed([it.name for it in job.listeners])
            said = f"The workers of {listed([job.queue])} send no heartbeats: {names}."
        return said, (place, waited), command_line("doctor") if job.listeners else _start(job)
    if (
        {it.state for it in live} == {"idle"}
        and job.enqueued_at
        and job.now - job.enqueued_at > OLDEST_JOB_AGE.warns_from
    ):
        return (
            f"The workers of {listed([job.queue])} are idle and don't take it: they are stopped, or hang.",
            (place, waited),
            command_line("doctor"),
        )
    return f"It waits for its turn. {place}", (_pace(job, len(live)), waited), ""


def _pace(job: JobFacts, live: int) -> str:
    listen = f"{counted(live, 'worker')} {'listens' if live == 1 else 'listen'}."
    if job.mean_run_seconds is None or job.position is None:
        return listen
    seconds = job.mean_run_seconds * (job.position + 1) / live
    mean = _short(job.mean_run_seconds)
    return f"{listen} Jobs here run for {mean} on average: it starts in about {span(seconds)}."


def _scheduled(job: JobFacts) -> Said:
    if job.due_at is None:
        return (
            "It counts as scheduled, and is not among the scheduled jobs: it is lost, or is being queued.",
            (),
            command_line("doctor"),
        )
    again = _again(job)
    left = job.due_at - job.now
    when = f"at {_moment(job.due_at)}, {f'in {span(left)}' if left >= 0 else f'{span(-left)} ago'}"
    left_after = [
        f"{what} left after that: {number}."
        for what, number in (("Repeats", job.repeats_left), ("Retries", job.retries_left))
        if number is not None and job.started_at
    ]
    if not job.with_scheduler:
        return (
            f"No scheduler runs for {listed([job.queue])}, so nobody queues it.",
            (f"{again} {when}.", *left_after),
            _start(job),
        )
    is_late = left < -SCHEDULED_DELAY.acts_from
    return f"{again} {when}.", tuple(left_after), command_line("doctor") if is_late else ""


def _again(job: JobFacts) -> str:
    """Why it runs at a later time; RQ keeps no result of a run that failed and is retried."""
    if not job.started_at:
        return "It is scheduled"
    if job.last_run == "succeeded" or (job.repeats_left is not None and job.retries_left is None):
        return "It succeeded, and runs again"
    if job.last_run == "retried":
        return "It returned a Retry, and runs again"
    if job.retries_left is not None and job.repeats_left is None:
        return "It failed, and runs again"
    return "It ran, and runs again"


def _deferred(job: JobFacts) -> Said:
    found = job.dependencies
    waits = [f"{listed([id_])} ({status or 'gone'})" for id_, status in found.statuses.items()]
    all_ = f"It depends on {', '.join(waits)}." if len(waits) > 1 else ""
    if found.blocking:
        status = found.statuses[found.blocking]
        ended = {"failed": "failed", "stopped": "was stopped", "canceled": "was canceled"}[status]
        said = f"It waits for job {listed([found.blocking])}, which {ended}: it will not be queued."
        if status == "canceled":
            return (
                said,
                (all_, "Queue such a job without that dependency from your program, and delete this one."),
                "",
            )
        again = "It is queued when that has been queued again and has succeeded."
        return said, (all_, again), why(found.blocking)
    if found.awaited or not waits:
        end = "ended" if found.may_fail else "succeeded"
        next_ = why(found.awaited) if found.awaited else command_line("doctor")
        return f"It waits until these have {end}: {', '.join(waits) or 'none is named'}.", (), next_
    return (
        f"It will not be queued: what it depends on has ended or is gone, {', '.join(waits)}.",
        (
            "RQ looks at it only when one of those ends.",
            "Queue such a job without a dependency from your program, and delete this one.",
        ),
        "",
    )


def _started(job: JobFacts) -> Said:
    since = (
        f" since {_moment(job.started_at)}, for {span(job.now - job.started_at)}" if job.started_at else ""
    )
    limit = f"It may run for {span(job.timeout_seconds)}." if job.timeout_seconds else "It has no timeout."
    lives = {it.name: it.is_live(job.now) for it in job.listeners}
    expired = job.heartbeat_until is not None and job.heartbeat_until < job.now
    if expired or not lives.get(job.worker, False):
        return (
            f"It counts as running{since}, and its worker {listed([job.worker])} sends no heartbeats.",
            ("A live worker of the queue fails it soon, or runs it again if it has a retry left.",),
            _start_or_look(job),
        )
    return f"It runs{since}, in worker {listed([job.worker])}.", (limit,), ""


def _finished(job: JobFacts) -> Said:
    keeps = f"Redis keeps it until {_moment(job.expires_at)}." if job.expires_at else ""
    return f"It succeeded{_ended(job)}.", (keeps,), ""


def _failed(job: JobFacts) -> Said:
    again = requeue(job.queue, job.id, serializer=job.serializer)
    raised, line = class_of(job.exception), last_line(job.exception)
    retries = "No retry is left." if job.retries_left == 0 else ""
    causes = {
        "JobTimeoutException": (
            f"It ran longer than it may{_allowed(job)}, and was ended{_ended(job)}.",
            "A longer job_timeout, or less work a job, mends that.",
        ),
        "AbandonedJobError": (
            f"Its worker {listed([job.worker])} died while it ran; another one gave it up{_ended(job)}.",
            "The machine may have gone, or the worker was killed.",
        ),
        "killed": (
            f"The process that ran it was killed{_ended(job)}.",
            f"RQ says: {line} A signal 9 often means that the machine had no memory left.",
        ),
        "lost before its start": (f"Its worker died as it took it from the queue{_ended(job)}.", ""),
        "TooManyRequests": (f"A rate limit refused it{_ended(job)}.", line),
        "unknown": (f"It failed{_ended(job)}, and RQ did not keep why.", line),
    }
    first = "Fix the cause first: queued again as it is, the job fails again."
    said, detail = causes.get(raised, (f"It raised {line}{_ended(job)}.", first))
    return said, (detail, retries), again


def _stopped(job: JobFacts) -> Said:
    return (
        f"Somebody stopped it while it ran{_ended(job)}.",
        (),
        requeue(job.queue, job.id, serializer=job.serializer),
    )


def _canceled(job: JobFacts) -> Said:
    when = f"after it had started at {_moment(job.started_at)}" if job.started_at else "before it ran"
    return f"Somebody canceled it {when}.", ("Queue it again from your program if it is wanted.",), ""


def _ready(job: JobFacts) -> Said:
    return (
        "What it waited for has ended, and RQ is queueing it.",
        (f"If it stays so, a live worker of {listed([job.queue])} queues it when it next cleans up.",),
        _start_or_look(job),
    )


def _created(_job: JobFacts) -> Said:
    return "It was written and never queued: the program that made it has to do that.", (), ""


def _rate_limited(job: JobFacts) -> Said:
    key, before = job.limit or ("", 0)
    said = f"RQ's rate limit {listed([key])} holds it back: too many of its jobs are queued or run."
    return said, (f"{before:,} wait before it." if before else "It is the next one.",), ""


def _unknown(job: JobFacts) -> Said:
    if job.status:
        return f"Its status is {job.status}, which this version does not know.", (), command_line("doctor")
    if job.left_in:
        return (
            "There is no such job any more, and its id is still there.",
            (
                f"It is among the {listed(job.left_in)}.",
                "Its data expired, or was evicted or deleted: it can't run.",
            ),
            command_line("doctor"),
        )
    return (
        "There is no such job.",
        (
            "It never existed here, was deleted, or ended and expired: RQ keeps a result for 500 s, and a "
            "failed job for a year, if not told otherwise.",
        ),
        "",
    )


_BY_STATUS: dict[str, Callable[[JobFacts], Said]] = {
    "queued": _queued,
    "scheduled": _scheduled,
    "deferred": _deferred,
    "started": _started,
    "finished": _finished,
    "failed": _failed,
    "stopped": _stopped,
    "canceled": _canceled,
    "created": _created,
    "ready_to_enqueue": _ready,
    "rate_limited": _rate_limited,
}


def _start_or_look(job: JobFacts) -> str:
    """What to do where a worker of the queue would mend it: start one, unless one lives."""
    if any(it.is_live(job.now) for it in job.listeners):
        return command_line("doctor")
    return _start(job)


def _start(job: JobFacts) -> str:
    return start_worker(job.queue, has_stack=job.has_stack)


def _ended(job: JobFacts) -> str:
    """When it ended, and after how long, as the end of a sentence."""
    at = job.ended_at or job.result_at
    if at is None:
        return ""
    took = f" after {_short(at - job.started_at)}" if job.started_at and at >= job.started_at else ""
    return f"{took}, at {_moment(at)}"


def _allowed(job: JobFacts) -> str:
    return f", {span(job.timeout_seconds)}" if job.timeout_seconds else ""


def _short(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else span(seconds)


def _moment(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%d %b %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "a time beyond all calendars"
