"""How cron entries, their times and their changes are put into words, tables and JSON."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from typing import Any

from cron_descriptor import Options, get_description
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rqmon.terminal import printable, shortened
from scheduler.cron.entries import CronEntry
from scheduler.cron.slots import Schedule, zone

_DST_HORIZON = timedelta(days=366)
_AROUND = timedelta(hours=3)
_NARROWEST = 20  # columns, for what an entry does and when
_UNBOUNDED = 10_000  # columns; wider than any table


def to_json(value: object) -> str:
    """JSON whose times are ISO 8601 with an offset."""
    return json.dumps(value, default=lambda it: it.isoformat() if isinstance(it, datetime) else str(it))


def words(schedule: Schedule) -> str:
    """When a schedule is due, as people say it."""
    if schedule.cron is None:
        return f"Every {schedule.interval_seconds} seconds"
    return str(get_description(schedule.cron, Options(locale_code="en_US")))


def is_utc(timezone: str) -> bool:
    """Whether a zone is UTC, by whichever of its names."""
    return datetime.now(zone(timezone)).tzname() == "UTC"


def times(moment: datetime, timezone: str, *, now: datetime) -> str:
    """A time in the entry's zone, and in UTC in a second line, without what goes without saying."""
    utc = moment.astimezone(UTC)
    if is_utc(timezone):
        return f"{_day(utc, now)} {_clock(utc)}"
    local = moment.astimezone(zone(timezone))
    other_day = f"{_day(utc, now)} " if utc.date() != local.date() else ""
    return f"{_day(local, now)} {_clock(local)}\n{other_day}{_clock(utc)}"


def cell(text: str) -> Text:
    """A table's cell of text that anybody may have written, without its markup; lines are ours."""
    return Text("\n".join(map(printable, text.split("\n"))))


def foreign(text: str) -> str:
    """A text out of Redis in one line of a table, as a terminal may have it, and not too long."""
    return printable(shortened(text))


def entries_table(rows: Iterable[Mapping[str, Any]], *, now: datetime) -> Table:
    """The entries as `rqmon cron list` shows them; only the first column wraps."""
    table = new_table("entry", "next", "last", "slots", wraps="entry")
    for number, row in enumerate(rows):
        if number:
            table.add_row()
        table.add_row(
            _About(
                printable(row["id"]),
                foreign(row["description"]),
                foreign(row["words"]),
            ),
            cell(_next(row, now=now)),
            cell(_last(row, now=now)),
            cell("\n".join(f"{n} {foreign(outcome)}" for outcome, n in row["slots"].items()) or "none"),
        )
    return table


def new_table(*columns: str, wraps: str = "") -> Table:
    """An empty table, of which one column may be wrapped; give it cells of Text, which holds no markup."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column != wraps)
    return table


def show(table: Table) -> None:
    """Print a table; rather wider than the terminal than with a word in pieces."""
    console = Console()
    unbounded = console.options.update(width=_UNBOUNDED)
    for column in table.columns:
        if column.no_wrap:
            cells = [column.header, *column.cells]
            column.min_width = max(console.measure(cell, options=unbounded).maximum for cell in cells)
    console.width = max(console.width, Measurement.get(console, unbounded, table).minimum)
    console.print(table)


def changes(before: CronEntry | None, after: CronEntry) -> dict[str, tuple[Any, Any] | None]:
    """What a start would change of an entry: `{field: (old, new)}`.

    There are no values for `arguments`, and for `stored`: what Redis holds is incomplete or can't be read.
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
    """One of the `changes`, as people read it."""
    if values is not None:
        return f"{field}: {shortened(_value(values[0]))} -> {shortened(_value(values[1]))}"
    return "stored: incomplete or unreadable -> whole" if field == "stored" else field


def clock_changes(schedule: Schedule, *, now: datetime) -> list[str]:
    """What the clock changes of the next year do to a schedule's times of day."""
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


@dataclass(frozen=True, slots=True)
class _About:
    """An id in one piece, to be copied, and what it does when; a long word breaks at dots and underscores."""

    id: str
    description: str
    words: str

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        lines = (self.id, self.description, self.words)
        longest = max(cell_len(line) for text in lines for line in text.splitlines() or [""])
        return Measurement(max(cell_len(self.id), _NARROWEST), max(longest, _NARROWEST))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.id, style="bold")
        for text in (self.description, self.words):
            yield Text(re.sub(r"\S+", lambda word: _broken(word[0], options.max_width), text))


def _broken(word: str, width: int) -> str:
    """A word in lines of that width, as far as its dots and underscores allow."""
    lines = [""]
    for piece in re.findall(r"[^._]*[._]?", word):
        if lines[-1] and cell_len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _day(moment: datetime, now: datetime) -> str:
    return f"{moment:%d %b}" if moment.year == now.year else f"{moment:%d %b %Y}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S %Z}" if moment.second else f"{moment:%H:%M %Z}"


def _next(row: Mapping[str, Any], *, now: datetime) -> str:
    if row["paused"]:
        return "paused"
    if row["next"] is None:
        return "none"
    return times(row["next"], row["timezone"], now=now) + ("\noverdue" if row["overdue"] else "")


def _last(row: Mapping[str, Any], *, now: datetime) -> str:
    last = row["last"]
    if not last:
        return "never"
    behind = last["lateness_seconds"]
    shown = "" if behind is None or last["outcome"] == "ran" else f" by {_behind(behind)}"
    return f"{times(last['slot'], row['timezone'], now=now)}\n{foreign(last['outcome'])}{shown}"


def _behind(seconds: float) -> str:
    for unit, size_seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size_seconds:
            return f"{seconds / size_seconds:.0f} {unit}"
    return f"{seconds:.1f} s"


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
    """The minute of each clock change of the next year, and which way it goes."""

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(zone(timezone)).utcoffset() or timedelta()

    start = now.replace(minute=0, second=0, microsecond=0)
    hours = (start + timedelta(hours=hour) for hour in range(int(_DST_HORIZON / timedelta(hours=1))))
    for before, after in pairwise(hours):
        if offset(before) != offset(after):
            minutes = (before + timedelta(minutes=minute) for minute in range(1, 61))
            change = next(minute for minute in minutes if offset(minute) != offset(before))
            yield change, "forward" if offset(after) > offset(before) else "back"
