"""Stored cron entries, as far as they can be read, compared with declared ones. No Redis here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scheduler.cron.entries import CronEntry, spec_fields
from scheduler.cron.slots import Schedule
from scheduler.errors import CronError

# No entry is due before the first or after the last of these; a score beyond them is not a time.
_FIRST_SECOND = datetime(1970, 1, 1, tzinfo=UTC).timestamp()
_LAST_SECOND = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


def text(id_: bytes) -> str:
    """Decode an id from Redis; bytes that are not UTF-8 are kept as lone surrogates."""
    return id_.decode(errors="surrogateescape")


def raw(id_: str) -> bytes:
    """Encode an id as Redis stores it, even if it is not UTF-8.

    Raises:
        CronError: It has a lone surrogate, so no entry can have it.
    """
    try:
        return id_.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise no_entry(id_) from None


def no_entry(id_: str) -> CronError:
    """The error for an id that no entry has."""
    return CronError(f"There is no cron entry {id_!r}: rqmon cron list shows those there are")


def moment(score: float) -> datetime | None:
    """A next slot from Redis; None if it is not a time."""
    return datetime.fromtimestamp(score, UTC) if _FIRST_SECOND <= score <= _LAST_SECOND else None


@dataclass(frozen=True, slots=True)
class Difference:
    """The ids of entries that were added, changed, removed and left as they are."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored entry: its spec, empty if it can't be read, and whether all of it is there."""

    spec: dict[str, Any]
    slot: datetime | None
    paused: bool
    whole: bool

    def same(self, entry: CronEntry) -> bool:
        """Whether writing the entry would change nothing; arguments without a digest may have changed."""
        return self.whole and entry.digest is not None and self.spec == entry.spec()

    @property
    def schedule(self) -> Schedule | None:
        """Its schedule; None if that can't be read."""
        return schedule_of(self.spec)


def schedule_of(spec: Mapping[str, Any]) -> Schedule | None:
    """The schedule of a stored spec; None if it can't be read."""
    try:
        return Schedule(**spec["schedule"])
    except (TypeError, KeyError, OverflowError, CronError):
        return None


def loaded(spec: bytes) -> dict[str, Any]:
    """Read a stored spec; empty if it can't be read, so that it counts as changed."""
    try:
        return spec_fields(spec)
    except ValueError:
        return {}


def by_id(entries: Iterable[CronEntry]) -> dict[str, CronEntry]:
    """Return a program's declared entries by id.

    Raises:
        CronError: Two different ones have the same id.
    """
    wanted: dict[str, CronEntry] = {}
    for entry in entries:
        if wanted.setdefault(entry.id, entry).spec() != entry.spec():
            raise CronError(
                f"Two different entries of this program have the same id {entry.id!r}: "
                "give each its own cron_id"
            )
    return wanted


def difference(wanted: Mapping[str, CronEntry], stored: Mapping[str, Stored]) -> Difference:
    """Return what has to be done to turn the stored entries into the wanted ones."""
    changed = {id_: id_ in stored and not stored[id_].same(entry) for id_, entry in wanted.items()}
    return Difference(
        added=tuple(id_ for id_ in wanted if id_ not in stored),
        changed=tuple(id_ for id_ in wanted if changed[id_]),
        removed=tuple(id_ for id_, s in stored.items() if s.spec.get("declared") and id_ not in wanted),
        unchanged=tuple(id_ for id_ in wanted if id_ in stored and not changed[id_]),
    )
