"""Shows cron entries as tables and JSON."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rqmon.crons.words import times
from rqmon.terminal import printable, shortened

_NARROWEST = 20  # columns, for an entry's job and schedule
_UNBOUNDED = 10_000  # columns; wider than any table


def to_json(value: object) -> str:
    """Write JSON whose times are ISO 8601 with an offset."""
    return json.dumps(value, default=lambda it: it.isoformat() if isinstance(it, datetime) else str(it))


def cell(text: str) -> Text:
    """Make a table cell of untrusted text, with markup disabled; the line breaks are ours."""
    return Text("\n".join(map(printable, text.split("\n"))))


def foreign(text: str) -> str:
    """Make a text from Redis safe for a terminal, and short enough for one line of a table."""
    return printable(shortened(text))


def entries_table(rows: Iterable[Mapping[str, Any]], *, now: datetime) -> Table:
    """Return the table of `rqmon cron list`; only its first column wraps."""
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
    """Return an empty table, in which one column may wrap; its cells must be Text, which has no markup."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column != wraps)
    return table


def show(table: Table) -> None:
    """Print a table; it becomes wider than the terminal rather than break words."""
    console = Console()
    unbounded = console.options.update(width=_UNBOUNDED)
    for column in table.columns:
        if column.no_wrap:
            cells = [column.header, *column.cells]
            column.min_width = max(console.measure(cell, options=unbounded).maximum for cell in cells)
    console.width = max(console.width, Measurement.get(console, unbounded, table).minimum)
    console.print(table)


@dataclass(frozen=True, slots=True)
class _About:
    """An id in one piece, for copying, with job and schedule; long words break at dots and underscores."""

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
    """Break a word into lines of that width, as far as its dots and underscores allow."""
    lines = [""]
    for piece in re.findall(r"[^._]*[._]?", word):
        if lines[-1] and cell_len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


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
