"""The labels and the next slot of each stored entry, field by field, read without its arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from scheduler.cron.entries import spec_fields
from scheduler.cron.store.keys import NEXT, SPECS
from scheduler.ledger.reading import amounts

COMMANDS = {
    "cron specs": ("HGETALL", SPECS),
    "cron next": ("ZRANGE", NEXT, 0, -1, "WITHSCORES"),
}


class EntryLabels(NamedTuple):
    """An entry's labels; None for a field that can't be read."""

    function: str | None
    queue: str | None
    schedule: str | None
    timezone: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The entries and their next slots (Unix seconds) by id; what is in `unreadable` is in neither."""

    entries: Mapping[str, EntryLabels]
    next: Mapping[str, float]
    unreadable: tuple[str, ...]


def parse(specs: Mapping[bytes, bytes], slots: Mapping[bytes, Any]) -> Overview:
    """Read the answers to COMMANDS; an entry or field that can't be read affects no other."""
    entries, unreadable = {}, []
    for id_, spec in specs.items():
        try:
            entry_id, fields = id_.decode(), spec_fields(spec)
        except ValueError:
            unreadable.append(f"cron entry {id_!r}")
            continue
        entries[entry_id], odd = _labels(fields)
        unreadable += [f"cron entry {id_!r} {name}" for name in odd]
    next_, odd_slots = amounts(slots, "cron next")
    return Overview(MappingProxyType(entries), MappingProxyType(next_), (*unreadable, *odd_slots))


def _labels(fields: Mapping[str, Any]) -> tuple[EntryLabels, list[str]]:
    """Return an entry's labels, and the names of those that can't be read."""
    schedule = fields.get("schedule")
    if not isinstance(schedule, dict):
        schedule = {"cron": None, "interval_seconds": None}
    when = schedule.get("cron")
    if (seconds := schedule.get("interval_seconds")) and not when:
        when = f"every {seconds} s"
    given = {
        "function": fields.get("function"),
        "queue": fields.get("queue_name"),
        "schedule": when,
        "timezone": schedule.get("timezone"),
    }
    read = {name: text if _is_text(text) else None for name, text in given.items()}
    return EntryLabels(**read), [name for name, text in read.items() if text is None]


def _is_text(value: Any) -> bool:
    """Whether it is a string without lone surrogates, which JSON can carry but UTF-8 can't."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
