"""Commands that show the cron entries, explain an expression, and run, pause or resume one."""

import json
import runpy
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import click
from cron_descriptor import get_description
from rich.console import Console
from rich.table import Table

from scheduler import CronError
from scheduler.cron.claims import Claimer
from scheduler.cron.process import live_processes
from scheduler.cron.registry import CronRegistry, EntryState, declaring
from scheduler.cron.slots import Schedule, zone
from scheduler.ledger import cron as ledger
from scheduler.queues import shared_connection

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_DST_HORIZON = timedelta(days=366)


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
    rows = [_row(state, history[state.entry.id], counted.get(state.entry.id, {})) for state in states]
    processes = live_processes(connection)
    if as_json:
        click.echo(json.dumps({"entries": rows, "processes": list(processes.values())}, default=str))
        return
    table = _table("id", "what", "when", "next", "last", "slots")
    for row in rows:
        last = row["last"]
        table.add_row(
            row["id"],
            row["description"],
            row["words"],
            "paused" if row["paused"] else _times(row["next"], row["timezone"]),
            f"{_times(last['slot'], row['timezone'])}\n{_outcome(last)}" if last else "never",
            ", ".join(f"{n} {outcome}" for outcome, n in row["slots"].items()) or "none",
        )
    Console().print(table)
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
    warnings = _clock_changes(schedule, now)
    if as_json:
        click.echo(
            json.dumps(
                {"words": _words(schedule), "next": [run.isoformat() for run in runs], "warnings": warnings}
            )
        )
        return
    click.echo(f"{_words(schedule)} ({timezone})\n")
    table = _table(timezone, "UTC")
    for run in runs:
        table.add_row(f"{run.astimezone(zone(timezone)):%a %d %b %Y %H:%M %Z}", f"{run:%a %d %b %Y %H:%M}")
    Console().print(table)
    for warning in warnings:
        click.echo(warning)


@cron.command()
@click.argument("entry_id")
@_json
def history(*, entry_id: str, as_json: bool) -> None:
    """The last slots of an entry, the newest first."""
    connection = shared_connection()
    entry = CronRegistry(connection).get(entry_id)
    records = ledger.cron_history(connection, [entry_id], last=100)[entry_id]
    if as_json:
        click.echo(json.dumps([asdict(record) for record in records], default=str))
        return
    table = _table("slot", "outcome", "lateness", "job")
    for record in records:
        lateness = "" if record.lateness_seconds is None else f"{record.lateness_seconds:.3f} s"
        slot = _times(record.slot.isoformat(), entry.schedule.timezone)
        table.add_row(slot, record.outcome, lateness, record.job_id or "")
    Console().print(table)


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
    click.echo(json.dumps({"job": job.id}) if as_json else f"Queued job {job.id} on {entry.queue_name}.")


@cron.command()
@click.argument("entry_id")
@_json
def pause(*, entry_id: str, as_json: bool) -> None:
    """Leave out an entry's slots until it is resumed."""
    CronRegistry(shared_connection()).pause(entry_id)
    click.echo(json.dumps({"paused": entry_id}) if as_json else f"Paused {entry_id}.")


@cron.command()
@click.argument("entry_id")
@_json
def resume(*, entry_id: str, as_json: bool) -> None:
    """Let an entry's slots be due again, from its next one on."""
    CronRegistry(shared_connection()).resume(entry_id, now=datetime.now(UTC))
    click.echo(json.dumps({"resumed": entry_id}) if as_json else f"Resumed {entry_id}.")


@cron.command()
@click.argument("entry_id")
@_json
def remove(*, entry_id: str, as_json: bool) -> None:
    """Remove an entry and its counts; one that cron-scheduler.py declares is back at its next start."""
    CronRegistry(shared_connection()).remove(entry_id)
    click.echo(json.dumps({"removed": entry_id}) if as_json else f"Removed {entry_id}.")


@cron.command()
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default="cron-scheduler.py"
)
@_json
def diff(*, file: Path, as_json: bool) -> None:
    """What starting FILE (cron-scheduler.py) would add, change and remove; nothing is done."""
    schedule_jobs = runpy.run_path(str(file)).get("schedule_jobs")
    if schedule_jobs is None:
        raise CronError(f"{file} has no function schedule_jobs: it registers the entries")
    with declaring() as entries:
        schedule_jobs()
    registry = CronRegistry(shared_connection())
    difference = asdict(registry.difference(entries))
    if as_json:
        click.echo(json.dumps(difference))
        return
    described = {entry.id: entry.description for entry in [*registry.entries(), *entries]}
    for kind, ids in difference.items():
        for id_ in ids:
            click.echo(f"{kind:<10} {id_}  {described.get(id_, '(can not be read)')}")


@cron.command()
@_json
def health(*, as_json: bool) -> None:
    """Exit with 0 when a cron process is live, with 1 when none is."""
    processes = live_processes(shared_connection())
    names = ", ".join(sorted(processes)) or "none"
    click.echo(json.dumps(list(processes.values())) if as_json else f"Live cron processes: {names}")
    if not processes:
        raise SystemExit(1)


def _row(state: EntryState, history: list[ledger.SlotRecord], slots: Any) -> dict[str, Any]:
    entry = state.entry
    return {
        "id": entry.id,
        "description": entry.description,
        "function": entry.function,
        "queue": entry.queue_name,
        "cron": entry.schedule.cron,
        "interval_seconds": entry.schedule.interval_seconds,
        "timezone": entry.schedule.timezone,
        "words": _words(entry.schedule),
        "paused": state.paused,
        "next": state.next_slot.isoformat() if state.next_slot else None,
        "last": {**asdict(history[0]), "slot": history[0].slot.isoformat()} if history else None,
        "slots": dict(slots),
    }


def _words(schedule: Schedule) -> str:
    if schedule.cron is None:
        return f"Every {schedule.interval_seconds} seconds"
    return str(get_description(schedule.cron))


def _times(when: str, timezone: str) -> str:
    moment = datetime.fromisoformat(when)
    utc = f"{moment:%d %b %H:%M:%S} UTC"
    return utc if timezone == "UTC" else f"{moment.astimezone(zone(timezone)):%d %b %H:%M:%S %Z}\n{utc}"


def _outcome(last: dict[str, Any]) -> str:
    if last["lateness_seconds"] is None:
        return str(last["outcome"])
    return f"{last['outcome']}, {last['lateness_seconds']:.3f} s behind"


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    return table


def _clock_changes(schedule: Schedule, now: datetime) -> list[str]:
    """What the clock changes of the next year do to a schedule's times of day."""
    local = zone(schedule.timezone)
    changes = [
        (before, after)
        for before, after in pairwise(_hours(now))
        if before.astimezone(local).utcoffset() != after.astimezone(local).utcoffset()
    ]
    warnings = []
    for before, after in changes:
        day = f"{after.astimezone(local):%d %b %Y}"
        shift = (after.astimezone(local).utcoffset() or timedelta()) - (
            before.astimezone(local).utcoffset() or timedelta()
        )
        runs = [
            r
            for r in islice(schedule.after(before - timedelta(hours=3)), 500)
            if r <= after + timedelta(hours=3)
        ]
        if runs:
            near = [run for run in runs if run < after][-3:] + [run for run in runs if run >= after][:3]
            times = ", ".join(f"{run.astimezone(local):%H:%M %Z}" for run in near)
            moved = "forward" if shift > timedelta() else "back"
            warnings.append(f"Clocks go {moved} on {day}: around the change it runs at {times}.")
    return warnings


def _hours(now: datetime) -> Iterable[datetime]:
    start = now.replace(minute=0, second=0, microsecond=0)
    return (start + timedelta(hours=hour) for hour in range(int(_DST_HORIZON / timedelta(hours=1))))
