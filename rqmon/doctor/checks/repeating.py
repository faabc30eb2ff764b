"""Cron: processes that are missing or stuck, entries that don't run, run twice or late."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta

from rqmon.doctor.facts import CronFacts, Facts
from rqmon.doctor.finding import Finding, Severity
from rqmon.doctor.phrases import counted, listed, span
from rqmon.doctor.remedies import quoted, redis_command
from rqmon.resources import command_line
from rqmon.thresholds import CRON_OVERDUE
from scheduler.cron.entries import CronEntry, Outcome
from scheduler.cron.store.keys import DATA, NEXT, PAUSED, SPECS
from scheduler.errors import CronError

_LATELY_SECONDS = 3_600.0
# To find an entry's next slot takes up to a millisecond.
_MOST_ENTRIES = 500


def no_process(facts: Facts, _now: float) -> Iterator[Finding]:
    """There are entries, and nobody queues their jobs."""
    cron = facts.cron
    if cron is None or not (cron.listing.states or cron.listing.unreadable) or cron.health.working:
        return
    entries = counted(len(cron.listing.states) + len(cron.listing.unreadable), "cron entry")
    start = command_line("start" if facts.has_stack else "cron run")
    if cron.health.processes:
        troubles = [it.trouble for it in cron.health.processes.values() if it.trouble]
        cause = f"It says: {troubles[0]}" if troubles else "It does not say why: it may hang."
        yield Finding(
            Severity.BROKEN,
            f"The cron process queues nothing: {entries} would need it.",
            cause,
            command_line("cron health"),
        )
    elif cron.health.dead:
        cause = f"It was killed: {listed(cron.health.dead)} sends no heartbeats."
        yield Finding(Severity.BROKEN, f"The cron process is dead: {entries} would need it.", cause, start)
    else:
        cause = "None was started, or it was stopped."
        yield Finding(Severity.BROKEN, f"No cron process runs: {entries} would need one.", cause, start)


def cant_run(facts: Facts, _now: float) -> Iterator[Finding]:
    """Entries that can't be queued, or not be read."""
    for id_, reason in facts.cron.health.cant_run.items() if facts.cron else ():
        yield Finding(
            Severity.BROKEN,
            f"Cron entry {listed([id_])} can't be queued: its slots are passed over.",
            reason,
            redis_command("TYPE", id_)
            if id_ in (SPECS, DATA, NEXT, PAUSED)
            else f"{command_line(f'cron remove {quoted(id_)}')}  # and register it again",
        )


def stuck(facts: Facts, now: float) -> Iterator[Finding]:
    """Entries that are overdue though a process works."""
    if facts.cron is None or not facts.cron.health.working:
        return
    late = [
        (now - state.next_slot.timestamp(), state.entry.id)
        for state in facts.cron.listing.states
        if state.next_slot
        and now - state.next_slot.timestamp() > CRON_OVERDUE.acts_from
        and state.entry.id not in facts.cron.health.cant_run
    ]
    if late:
        late.sort(reverse=True)
        yield Finding(
            Severity.BROKEN,
            f"{counted(len(late), 'cron entry')} should have run up to {span(late[0][0])} ago and did not: "
            f"{listed([id_ for _, id_ in late])}.",
            "A cron process works, and leaves them out: it waits for a clock that jumped, or is slow.",
            command_line("cron health"),
        )


def drifting(facts: Facts, _now: float) -> Iterator[Finding]:
    """Entries whose next run is later than their schedule says."""
    if facts.cron is None:
        return
    found = []
    for state in facts.cron.listing.states[:_MOST_ENTRIES]:
        try:
            # Not after now: an entry may have been queued since the snapshot was taken.
            expected = state.entry.schedule.next_after(facts.cron.listing.now)
        except CronError:
            continue
        if state.next_slot and state.next_slot - expected > timedelta(minutes=1):
            found.append((state.entry.id, state.next_slot, expected))
    if found:
        id_, next_slot, expected = found[0]
        yield Finding(
            Severity.WARNING,
            f"{counted(len(found), 'cron entry')} will run later than scheduled: "
            f"{listed([it[0] for it in found])}.",
            f"{listed([id_])} is due at {expected:%d %b %H:%M} UTC and waits until "
            f"{next_slot:%d %b %Y %H:%M} UTC, as when a clock was ahead. Pause and resume put it right.",
            f"{command_line(f'cron pause {quoted(id_)}')} && {command_line(f'cron resume {quoted(id_)}')}",
        )


def paused(facts: Facts, _now: float) -> Iterator[Finding]:
    """Entries that somebody paused."""
    ids = [state.entry.id for state in facts.cron.listing.states if state.paused] if facts.cron else []
    if ids:
        yield Finding(
            Severity.WARNING,
            f"{counted(len(ids), 'cron entry')} {'is' if len(ids) == 1 else 'are'} paused: {listed(ids)}.",
            "Somebody paused it: its slots are left out, and count as nothing.",
            command_line(f"cron resume {quoted(ids[0])}"),
        )


def duplicates(facts: Facts, _now: float) -> Iterator[Finding]:
    """Entries that do the same at the same times under two ids."""
    same: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for state in facts.cron.listing.states if facts.cron else ():
        same[_what(state.entry)].append(state.entry.id)
    for ids in same.values():
        if len(ids) > 1:
            yield Finding(
                Severity.WARNING,
                f"{len(ids)} cron entries do the same at the same times: {listed(ids)}.",
                "The same function, arguments and schedule under several ids: each job is queued as often.",
                command_line(f"cron remove {quoted(ids[-1])}"),
            )


def late(facts: Facts, now: float) -> Iterator[Finding]:
    """Slots of the last hour that were late or missed."""
    if facts.cron is None:
        return
    for outcome, happened in ((Outcome.MISSED, "got no job"), (Outcome.LATE, "got their jobs late")):
        slots = _lately(facts.cron, outcome, now=now)
        if slots:
            yield Finding(
                Severity.WARNING,
                f"{counted(sum(slots.values()), 'cron slot')} of the last hour {happened}: "
                f"{listed([id_ for id_, _ in slots.most_common()])}.",
                "No cron process was there in time, Redis was away, or the entries were changed meanwhile.",
                command_line(f"cron history {quoted(slots.most_common(1)[0][0])}"),
            )


def _lately(cron: CronFacts, outcome: str, *, now: float) -> Counter[str]:
    slots = {
        id_: sum(
            slot.outcome == outcome and now - slot.slot.timestamp() < _LATELY_SECONDS for slot in history
        )
        for id_, history in cron.history.items()
    }
    return Counter({id_: number for id_, number in slots.items() if number})


def _what(entry: CronEntry) -> tuple[object, ...]:
    # Where there is no digest of the arguments, they are the same only byte by byte.
    return entry.function, entry.queue_name, entry.schedule, entry.digest or entry.data
