"""Cron schedules, times and changes in words."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from typing import Any

from cron_descriptor import Options, get_description

from rqmon.terminal import shortened
from scheduler.cron.entries import CronEntry
from scheduler.cron.slots import Schedule, zone

_DST_HORIZON = timedelta(days=366)
_AROUND = timedelta(hours=3)


def words(schedule: Schedule) -> str:
    """Say in words when a schedule is due."""
    if schedule.cron is None:
        return f"Every {schedule.interval_seconds} seconds"
    return str(get_description(schedule.cron, Options(locale_code="en_US")))


def is_utc(timezone: str) -> bool:
    """Whether a zone is UTC, by any of its names."""
    return datetime.now(zone(timezone)).tzname() == "UTC"


def times(moment: datetime, timezone: str, *, now: datetime) -> str:
    """A time in the entry's zone, and in UTC on a second line, without obvious parts."""
    utc = moment.astimezone(UTC)
    if is_utc(timezone):
        return f"{_day(utc, now)} {_clock(utc)}"
    local = moment.astimezone(zone(timezone))
    other_day = f"{_day(utc, now)} " if utc.date() != local.date() else ""
    return f"{_day(local, now)} {_clock(local)}\n{other_day}{_clock(utc)}"


def changes(before: CronEntry | None, after: CronEntry) -> dict[str, tuple[Any, Any] | None]:
    """Return what a start would change in an entry: `{field: (old, new)}`.

    `arguments` has no values, nor has `stored`, which means that the stored entry is incomplete or
    unreadable.
    """
    if before is None:
        return {"stored": None}
    old, new = before.spec(), after.spec()
    found: dict[str, tuple[Any, Any] | None] = {
        name: (old.get(name), value)
        for name, value in new.items()
        if name != "digest" and old.get(name) != value
    }
    if after.digest is None or before.digest != after.digest:
        found["arguments"] = None
    return found or {"stored": None}


def change_words(field: str, values: tuple[Any, Any] | None) -> str:
    """Put one of the `changes` into words."""
    if values is not None:
        return f"{field}: {shortened(_value(values[0]))} -> {shortened(_value(values[1]))}"
    return "stored: incomplete or unreadable -> whole" if field == "stored" else field


def clock_changes(schedule: Schedule, *, now: datetime) -> list[str]:
    """Warn of what the next year's clock changes do to a schedule's times of day."""
    local = zone(schedule.timezone)
    warnings = []
    for change, moved in _transitions(schedule.timezone, now):
        runs = list(_runs(schedule, change - _AROUND, change + _AROUND))
        near = [run for run in runs if run < change][-3:] + [run for run in runs if run >= change][:3]
        if near:
            day = f"{change.astimezone(local):%d %b %Y}"
            listed = ", ".join(f"{run.astimezone(local):%H:%M %Z}" for run in near)
            warnings.append(f"Clocks go {moved} on {day}: around the change it runs at {listed}.")
    return warnings


def _day(moment: datetime, now: datetime) -> str:
    return f"{moment:%d %b}" if moment.year == now.year else f"{moment:%d %b %Y}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S %Z}" if moment.second else f"{moment:%H:%M %Z}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        schedule = Schedule(**value)
        return words(schedule) if schedule.cron is None else f"{schedule.cron} ({schedule.timezone})"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _runs(schedule: Schedule, first: datetime, last: datetime) -> Iterator[datetime]:
    return takewhile(lambda run: run <= last, schedule.after(first))


def _transitions(timezone: str, now: datetime) -> Iterator[tuple[datetime, str]]:
    """Yield the minute of each clock change in the next year, and its direction."""

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(zone(timezone)).utcoffset() or timedelta()

    start = now.replace(minute=0, second=0, microsecond=0)
    hours = (start + timedelta(hours=hour) for hour in range(int(_DST_HORIZON / timedelta(hours=1))))
    for before, after in pairwise(hours):
        if offset(before) != offset(after):
            minutes = (before + timedelta(minutes=minute) for minute in range(1, 61))
            change = next(minute for minute in minutes if offset(minute) != offset(before))
            yield change, "forward" if offset(after) > offset(before) else "back"
