"""Commands that show the cron entries, explain an expression, and run, pause, resume or remove one."""

import runpy
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click
from redis import Redis
from redis.exceptions import RedisError
from rich.text import Text

from ops.cron_views import (
    change_words,
    changes,
    clock_changes,
    entries_table,
    is_utc,
    new_table,
    show,
    times,
    to_json,
    words,
)
from scheduler import CronError, SchedulerError
from scheduler.cron.claims import Claimer
from scheduler.cron.entries import CronEntry
from scheduler.cron.process import live_processes
from scheduler.cron.registry import CronRegistry, EntryState, declaring
from scheduler.cron.slots import Schedule, zone
from scheduler.ledger import cron as ledger
from scheduler.queues import shared_connection

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("cron")
def cron() -> None:
    """See and steer the jobs that repeat."""


@cron.command("list")
@_json
def list_(*, as_json: bool) -> None:
    """Every entry: when it runs next and last, and how its slots ended."""
    connection = shared_connection()
    states = CronRegistry(connection).states()
    history = ledger.cron_history(connection, [state.entry.id for state in states], last=1)
    counted = ledger.cron_outcomes(connection)
    now = datetime.now(UTC)
    rows = [
        _row(state, history[state.entry.id], counted.get(state.entry.id, {}), now=now) for state in states
    ]
    processes = _processes(connection)
    if as_json:
        click.echo(to_json({"entries": rows, "processes": list(processes.values())}))
        return
    show(entries_table(rows, now=now))
    click.echo(
        f"{len(rows)} {'entry' if len(rows) == 1 else 'entries'}, "
        f"{len(processes)} live cron {'process' if len(processes) == 1 else 'processes'}."
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
    click.echo(f"{words(schedule)} ({timezone})\n")
    table = new_table(timezone) if is_utc(timezone) else new_table(timezone, "UTC")
    for run in runs:
        utc, local = Text(f"{run:%a %d %b %Y %H:%M}"), run.astimezone(zone(timezone))
        table.add_row(*([utc] if is_utc(timezone) else [Text(f"{local:%a %d %b %Y %H:%M %Z}"), utc]))
    show(table)
    for warning in warnings:
        click.echo(warning)


@cron.command()
@click.argument("entry_id")
@_json
def history(*, entry_id: str, as_json: bool) -> None:
    """The last slots of an entry, the newest first; the last 100 are kept."""
    connection = shared_connection()
    entry = CronRegistry(connection).get(entry_id)
    records = ledger.cron_history(connection, [entry_id], last=100)[entry_id]
    if as_json:
        click.echo(to_json([asdict(record) for record in records]))
        return
    table = new_table("slot", "outcome", "lateness", "job")
    now = datetime.now(UTC)
    for record in records:
        lateness = "" if record.lateness_seconds is None else f"{record.lateness_seconds:.3f} s"
        slot = times(record.slot, entry.schedule.timezone, now=now)
        table.add_row(*map(Text, (slot, record.outcome, lateness, record.job_id or "")))
    show(table)


@cron.command("run-now")
@click.argument("entry_id")
@_json
def run_now(*, entry_id: str, as_json: bool) -> None:
    """Queue an entry's job now, beside its slots; it is counted as none of them."""
    connection = shared_connection()
    entry = CronRegistry(connection).get(entry_id)
    with connection.pipeline() as pipe:
        job = Claimer(connection).enqueue(pipe, entry, None)
        pipe.execute()
    click.echo(to_json({"job": job.id}) if as_json else f"Queued job {job.id} on {entry.queue_name}.")


@cron.command()
@click.argument("entry_id")
@_json
def pause(*, entry_id: str, as_json: bool) -> None:
    """Leave out an entry's slots until it is resumed."""
    CronRegistry(shared_connection()).pause(entry_id)
    click.echo(to_json({"paused": entry_id}) if as_json else f"Paused {entry_id}.")


@cron.command()
@click.argument("entry_id")
@_json
def resume(*, entry_id: str, as_json: bool) -> None:
    """Let an entry's slots be due again, from its next one on."""
    CronRegistry(shared_connection()).resume(entry_id, now=datetime.now(UTC))
    click.echo(to_json({"resumed": entry_id}) if as_json else f"Resumed {entry_id}.")


@cron.command()
@click.argument("entry_id")
@_json
def remove(*, entry_id: str, as_json: bool) -> None:
    """Remove an entry and its counts; one that cron-scheduler.py declares is back at its next start."""
    CronRegistry(shared_connection()).remove(entry_id)
    click.echo(to_json({"removed": entry_id}) if as_json else f"Removed {entry_id}.")


@cron.command()
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default="cron-scheduler.py"
)
@_json
def diff(*, file: Path, as_json: bool) -> None:
    """What starting FILE (cron-scheduler.py) would add, change and remove; nothing is done."""
    declared = _declared(file)
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
            described = entries[id_].description if id_ in entries else ""
            click.echo(f"{kind:<10} {id_:<{width}}  {described}".rstrip())
            for name, values in changed.get(id_, {}).items():
                click.echo(f"{'':<13}{change_words(name, values)}")


@cron.command()
@_json
def health(*, as_json: bool) -> None:
    """Exit with 0 when a cron process is live, with 1 when none is."""
    processes = _processes(shared_connection())
    if as_json:
        click.echo(to_json(list(processes.values())))
    else:
        named = [f"{name} ({it['version']})" if it["version"] else name for name, it in processes.items()]
        click.echo(f"Live cron processes: {', '.join(sorted(named)) or 'none'}")
    if not processes:
        raise SystemExit(1)


def _declared(file: Path) -> list[CronEntry]:
    """The entries that a file's schedule_jobs declares; none is written.

    Raises:
        CronError: The file can't be run, or has no such function.
    """
    sys.path.insert(0, str(file.parent.resolve()))  # as when it is started
    with declaring() as entries:
        try:
            schedule_jobs = runpy.run_path(str(file)).get("schedule_jobs")
            if not callable(schedule_jobs):
                raise CronError(
                    f"{file} can't be loaded: it has no function schedule_jobs, which registers the entries"
                )
            schedule_jobs()
        except (SchedulerError, RedisError):
            raise
        except (Exception, SystemExit) as error:
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            raise CronError(f"{file} can't be loaded: {cause}") from error
    return entries


def _processes(connection: Redis) -> dict[str, dict[str, Any]]:
    return {
        name: {
            **process,
            **{at: datetime.fromtimestamp(process[at], UTC) for at in ("started_at", "heartbeat")},
        }
        for name, process in live_processes(connection).items()
    }


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
