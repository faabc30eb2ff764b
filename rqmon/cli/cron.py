"""Commands that show the cron entries, explain an expression, and run, pause, resume or remove one."""

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click

from rqmon.cli.cron_tables import cell, entries_table, foreign, new_table, show, to_json
from rqmon.crons import entry_files
from rqmon.crons.health import Health
from rqmon.crons.words import change_words, changes, clock_changes, is_utc, times, words
from rqmon.entry_point import installed_version, logged_process
from rqmon.terminal import say, shortened
from scheduler import CronProcess
from scheduler.cron.clock import server_time
from scheduler.cron.slot_jobs import SlotJobs
from scheduler.cron.slots import Schedule, zone
from scheduler.cron.store.listing import EntryState
from scheduler.cron.store.registry import CronRegistry
from scheduler.ledger import cron as ledger
from scheduler.queues import shared_connection

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("cron")
def cron() -> None:
    """Show and control repeating jobs."""


@cron.command("list")
@_json
def list_(*, as_json: bool) -> None:
    """List every entry: its next and last run, and how its slots ended."""
    connection = shared_connection()
    listing = CronRegistry(connection).listing()
    history = ledger.cron_history(connection, [state.entry.id for state in listing.states], last=1)
    counted = ledger.cron_outcomes(connection)
    rows = [
        _row(state, history[state.entry.id], counted.get(state.entry.id, {}), now=listing.now)
        for state in listing.states
    ]
    health = Health.of(connection, listing)
    if as_json:
        click.echo(to_json({"entries": rows, **health.as_dict()}))
        return
    show(entries_table(rows, now=listing.now))
    for line in health.problems():
        say(line)
    processes = len(health.processes)
    say(
        f"{len(rows)} {'entry' if len(rows) == 1 else 'entries'}, "
        f"{processes} live cron {'process' if processes == 1 else 'processes'}."
    )


@cron.command()
@click.argument("expression")
@click.option("--timezone", default="UTC", show_default=True, help="IANA name, for example Europe/London.")
@_json
def explain(*, expression: str, timezone: str, as_json: bool) -> None:
    """Say in words what a cron EXPRESSION means, its next ten runs, and what clock changes do to it."""
    schedule = Schedule(cron=expression, timezone=timezone)
    now = datetime.now(UTC)
    runs = list(islice(schedule.after(now), 10))
    warnings = clock_changes(schedule, now=now)
    if as_json:
        explained = {
            "expression": expression,
            "timezone": timezone,
            "words": words(schedule),
            "next": runs,
            "warnings": warnings,
        }
        click.echo(to_json(explained))
        return
    say(f"{words(schedule)} ({timezone})")
    click.echo()
    table = new_table(timezone) if is_utc(timezone) else new_table(timezone, "UTC")
    for run in runs:
        utc, local = cell(f"{run:%a %d %b %Y %H:%M}"), run.astimezone(zone(timezone))
        table.add_row(*([utc] if is_utc(timezone) else [cell(f"{local:%a %d %b %Y %H:%M %Z}"), utc]))
    show(table)
    for warning in warnings:
        say(warning)


@cron.command()
@click.argument("entry_id")
@_json
def history(*, entry_id: str, as_json: bool) -> None:
    """Show an entry's last slots, newest first; the last 100 are kept."""
    connection = shared_connection()
    entry = CronRegistry(connection).get(entry_id)
    records = ledger.cron_history(connection, [entry_id], last=100)[entry_id]
    if as_json:
        click.echo(to_json([asdict(record) for record in records]))
        return
    table = new_table("slot", "outcome", "lateness", "job")
    now = server_time(connection)
    for record in records:
        lateness = "" if record.lateness_seconds is None else f"{record.lateness_seconds:.3f} s"
        slot = times(record.slot, entry.schedule.timezone, now=now)
        row = (slot, foreign(record.outcome), lateness, foreign(record.job_id or ""))
        table.add_row(*map(cell, row))
    show(table)


@cron.command("run-now")
@click.argument("entry_id")
@_json
def run_now(*, entry_id: str, as_json: bool) -> None:
    """Queue an entry's job now, outside its slots; it does not count as a slot."""
    connection = shared_connection()
    entry = CronRegistry(connection).get(entry_id)
    jobs = SlotJobs(connection)
    job = jobs.make(entry, None)
    with connection.pipeline() as pipe:
        jobs.enqueue(pipe, job)
        pipe.execute()
    _report({"job": job.id}, f"Queued job {job.id} on {entry.queue_name}.", as_json=as_json)


@cron.command()
@click.argument("entry_id")
@_json
def pause(*, entry_id: str, as_json: bool) -> None:
    """Skip an entry's slots until it is resumed."""
    CronRegistry(shared_connection()).pause(entry_id)
    _report({"paused": entry_id}, f"Paused {entry_id}.", as_json=as_json)


@cron.command()
@click.argument("entry_id")
@_json
def resume(*, entry_id: str, as_json: bool) -> None:
    """Resume an entry's slots, from the next one on."""
    CronRegistry(shared_connection()).resume(entry_id)
    _report({"resumed": entry_id}, f"Resumed {entry_id}.", as_json=as_json)


@cron.command()
@click.argument("entry_id")
@_json
def remove(*, entry_id: str, as_json: bool) -> None:
    """Remove an entry and its counts. If cron-scheduler.py declares it, its next start adds it again."""
    CronRegistry(shared_connection()).remove(entry_id)
    _report({"removed": entry_id}, f"Removed {entry_id}.", as_json=as_json)


@cron.command()
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=entry_files.DEFAULT_FILE
)
@_json
def diff(*, file: Path, as_json: bool) -> None:
    """Show what starting FILE (cron-scheduler.py) would add, change and remove; change nothing."""
    declared = entry_files.declared(file)
    registry = CronRegistry(shared_connection())
    difference = registry.difference(declared)
    stored = {entry.id: entry for entry in registry.entries()}
    entries = {**stored, **{entry.id: entry for entry in declared}}
    changed = {id_: changes(stored.get(id_), entries[id_]) for id_ in difference.changed}
    if as_json:
        click.echo(to_json({**asdict(difference), "changes": changed}))
        return
    by_kind = asdict(difference)
    width = max((len(id_) for ids in by_kind.values() for id_ in ids), default=0)
    for kind, ids in by_kind.items():
        for id_ in ids:
            described = shortened(entries[id_].description) if id_ in entries else ""
            say(f"{kind:<10} {id_:<{width}}  {described}".rstrip())
            for name, values in changed.get(id_, {}).items():
                say(f"{'':<13}{change_words(name, values)}")


@cron.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def run(*, file: Path | None) -> None:
    """Register the entries of FILE, then queue each job when its time comes, until told to stop.

    By default FILE is cron-scheduler.py; without such a file, the entries are those registered elsewhere,
    and they stay as they are.
    """
    if file is None and (default := Path(entry_files.DEFAULT_FILE)).is_file():
        file = default
    with logged_process("rqmon cron run"):
        schedule_jobs = entry_files.load(file) if file else None
        CronProcess(schedule_jobs, version=installed_version()).run()


@cron.command()
@_json
def health(*, as_json: bool) -> None:
    """Exit with 0 if a cron process queues due jobs, with 1 if none does."""
    connection = shared_connection()
    found = Health.of(connection, CronRegistry(connection).listing())
    if as_json:
        click.echo(to_json(found.as_dict()["processes"]))
    else:
        for line in (found.summary(), *found.problems()):
            say(line)
    if not found.is_well:
        raise SystemExit(1)


def _report(done: dict[str, str], said: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(to_json(done))
    else:
        say(said)


def _row(state: EntryState, history: list[ledger.SlotRecord], slots: Any, *, now: datetime) -> dict[str, Any]:
    entry = state.entry
    return {
        "id": entry.id,
        "description": entry.description,
        "function": entry.function,
        "queue": entry.queue_name,
        "cron": entry.schedule.cron,
        "interval_seconds": entry.schedule.interval_seconds,
        "timezone": entry.schedule.timezone,
        "words": words(entry.schedule),
        "catch_up": entry.catch_up,
        "overlap": entry.overlap,
        "late_after_seconds": entry.late_after_seconds,
        "paused": state.paused,
        "next": state.next_slot,
        "overdue": state.next_slot is not None and state.next_slot < now,
        "last": asdict(history[0]) if history else None,
        "slots": dict(slots),
    }
