"""When an entry is due: its slots after, up to and between times; pure, and every time is an argument."""

import functools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from scheduler.errors import CronError

# How many slots of the past are told apart one by one; older ones are only counted.
KEPT_SLOTS = 100

FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")


@functools.lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name.

    Raises:
        CronError: There is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CronError(f"Unknown time zone {name!r}: use an IANA name such as Europe/London") from None


@dataclass(frozen=True, slots=True)
class Due:
    """The slots from one time to another.

    Attributes:
        slots: The last ones, at most `KEPT_SLOTS`, in order.
        total: How many there are in all.
        following: The first one after them.
    """

    slots: tuple[datetime, ...]
    total: int
    following: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A five-field cron expression in a time zone, or an interval.

    An interval's slots are the multiples of it since 1970-01-01 00:00 UTC, so they neither drift nor
    move when a process restarts.

    A cron that names a time of day runs once a day also when the clocks change: a time that is skipped
    runs right after the gap, one that comes twice runs the first time. One with `*` as its hour or
    minute follows real time. This is what Debian's cron does.

    Raises:
        CronError: The expression, the interval or the zone is invalid, or no date ever matches.
    """

    cron: str | None = None
    interval_seconds: int | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if self.cron is not None and not isinstance(self.cron, str):
            raise CronError(f"cron is {self.cron!r}: use a text of five fields")
        if (self.cron is None) == (self.interval_seconds is None):
            raise CronError("Give either cron or interval_seconds")
        if self.interval_seconds is not None and self.interval_seconds < 1:
            raise CronError(f"interval_seconds is {self.interval_seconds}: use a whole number from 1")
        zone(self.timezone)
        next(self.after(datetime(2026, 1, 1, tzinfo=UTC)))

    def after(self, time: datetime) -> Iterator[datetime]:
        """Every slot later than `time`, in UTC and in order."""
        if self.interval_seconds is not None:
            number = int(time.timestamp() // self.interval_seconds)
            while True:
                number += 1
                yield datetime.fromtimestamp(number * self.interval_seconds, UTC)
        last = time
        for slot in _cronsim(self.cron or "", time.astimezone(zone(self.timezone))):
            # cronsim forgets which side of a clock change it starts on, and can repeat a time there.
            if slot > last:
                last = slot.astimezone(UTC)
                yield last

    def due(self, first: datetime, until: datetime) -> Due:
        """The slots from `first`, which is one, to `until`."""
        slots = deque([first], maxlen=KEPT_SLOTS)
        total = 1
        start = first
        if self.interval_seconds is not None:
            # Years of a short interval are counted, not walked.
            behind = int((until - first).total_seconds() // self.interval_seconds) - KEPT_SLOTS
            if behind > 0:
                start += timedelta(seconds=behind * self.interval_seconds)
                total += behind
        for slot in self.after(start):
            if slot > until:
                return Due(tuple(slots), total, slot)
            slots.append(slot)
            total += 1
        raise CronError(f"Cron {self.cron!r} has no slot after {until}")


def _cronsim(cron: str, after: datetime) -> CronSim:
    parts = cron.split()
    if len(parts) != len(FIELDS):
        raise CronError(
            f"Invalid cron {cron!r}: it has {len(parts)} fields, and takes five: {', '.join(FIELDS)}"
        )
    try:
        return CronSim(cron, after)
    except CronSimError as error:
        named = str(error).removeprefix("Bad ")
        part = parts[FIELDS.index(named)] if named in FIELDS else cron
        raise CronError(f"Invalid cron {cron!r}: {named} can't be {part!r}") from None
