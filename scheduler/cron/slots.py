"""When an entry is due: its slots after or between times. Pure; every time is an argument."""

import functools
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from scheduler.errors import CronError
from scheduler.ledger.cron import CRON_HISTORY_KEPT

FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")

TEN_YEARS_IN_SECONDS = 3650 * 24 * 3600
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)

# The calendar repeats within 40 years: a cron without a slot in them never has one.
YEARS_TO_LOOK = 50


# These names need no time zone database, which small images and Windows lack.
_UTC_NAMES = {"UTC", "UCT", "Zulu", "Universal", "Etc/UTC", "Etc/UCT", "Etc/Zulu", "Etc/Universal"}


@functools.lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """Return the IANA time zone of that name.

    Raises:
        CronError: There is none, or this machine does not know it.
    """
    if name in _UTC_NAMES:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if not available_timezones():
            raise CronError(
                f"This machine has no time zone data, so {name!r} is unknown: install tzdata "
                "(pip install tzdata, or the system's package of that name)"
            ) from None
        raise CronError(
            f"Unknown time zone {name!r}: use an IANA name such as Europe/London; "
            "a new one may need a newer tzdata"
        ) from None


@dataclass(frozen=True, slots=True)
class Due:
    """The slots from one time to another.

    Attributes:
        slots: The last of them, at most `CRON_HISTORY_KEPT`, in order.
        total: How many there are in total.
        following: The first slot after them.
        first_is_slot: Whether the first time is itself a slot, and so is counted.
    """

    slots: tuple[datetime, ...]
    total: int
    following: datetime
    first_is_slot: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A five-field cron expression in a time zone, or an interval.

    An interval's slots are the multiples of it since 1970-01-01 00:00 UTC, so they neither drift nor
    move when a process restarts.

    A cron that names a time of day runs once a day, even when the clocks change: if the time is skipped, it
    runs right after the gap; if the time comes twice, it runs the first time. A cron with `*` in its hour or
    minute, `*/6` included, follows real time: it runs in both passes of a repeated hour, and has no slot in a
    skipped hour. Debian's cron does the same.

    Raises:
        CronError: The expression, the interval or the zone is invalid, or no date ever matches.
    """

    cron: str | None = None
    interval_seconds: int | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if self.cron is not None and not isinstance(self.cron, str):
            raise CronError(f"cron is {self.cron!r}: use a string of five fields")
        if (self.cron is None) == (self.interval_seconds is None):
            raise CronError("Give either cron or interval_seconds")
        seconds = self.interval_seconds
        if seconds is not None and (type(seconds) is not int or not 1 <= seconds <= TEN_YEARS_IN_SECONDS):
            raise CronError(
                f"interval_seconds is {seconds!r}: use a whole number from 1 to {TEN_YEARS_IN_SECONDS}"
            )
        if not isinstance(self.timezone, str):
            raise CronError(f"timezone is {self.timezone!r}: use an IANA name such as Europe/London")
        zone(self.timezone)
        if self.cron is not None and not _has_slot(self.cron, self.timezone):
            raise CronError(f"Cron {self.cron!r} has no slot in {YEARS_TO_LOOK} years: use a real date")

    def after(self, time: datetime) -> Iterator[datetime]:
        """Yield every slot later than `time`, in UTC and in order."""
        if self.interval_seconds is not None:
            number = int(time.timestamp() // self.interval_seconds)
            while True:
                number += 1
                yield datetime.fromtimestamp(number * self.interval_seconds, UTC)
        slot: datetime | None = time
        while slot is not None:  # None: no slot in all the years searched
            time, slot = slot, None
            for slot in _slots(self.cron or "", self.timezone, time):
                yield slot

    def next_after(self, time: datetime) -> datetime:
        """Return the first slot later than `time`.

        Raises:
            CronError: There is none before the calendar ends.
        """
        slot = next(self.after(time), None)
        if slot is None:
            raise CronError(f"Cron {self.cron!r} has no slot after {time}")
        return slot

    def due(self, first: datetime, until: datetime) -> Due:
        """Return the slots from `first`, if it is one itself, to `until`."""
        slots: deque[datetime] = deque(maxlen=CRON_HISTORY_KEPT)
        total = 0
        start = first - MICROSECOND
        first_is_slot = False
        if self.interval_seconds is not None:
            first_is_slot = first.timestamp() % self.interval_seconds == 0
            # Years of a short interval are calculated, not walked through.
            behind = int((until - first).total_seconds() // self.interval_seconds) - CRON_HISTORY_KEPT
            if behind > 0:
                start += timedelta(seconds=behind * self.interval_seconds)
                total += behind
        for slot in self.after(start):
            first_is_slot |= slot == first
            if slot > until:
                return Due(tuple(slots), total, slot, first_is_slot)
            slots.append(slot)
            total += 1
        raise CronError(f"Cron {self.cron!r} has no slot after {until}")


@functools.lru_cache(maxsize=1024)
def _parsed(cron: str) -> CronSim:
    """Parse an expression with cronsim. Its own iteration loses slots at clock changes, so ours is used."""
    parts = cron.split()
    if len(parts) != len(FIELDS):
        raise CronError(
            f"Invalid cron {cron!r}: it has {len(parts)} fields instead of five: {', '.join(FIELDS)}"
        )
    try:
        return CronSim(cron, datetime(1970, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        named = str(error).removeprefix("Bad ")
        part = parts[FIELDS.index(named)] if named in FIELDS else cron
        raise CronError(f"Invalid cron {cron!r}: {named} can't be {part!r}") from None


def _slots(cron: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """Yield the slots of an expression for as many years as are searched."""
    fields = _parsed(cron)
    follows_real_time = "*" in fields.parts[1] + fields.parts[2]
    return (_in_real_time if follows_real_time else _at_times_of_day)(fields, zone(timezone), after)


@functools.lru_cache(maxsize=1024)
def _has_slot(cron: str, timezone: str) -> bool:
    return next(_slots(cron, timezone, datetime(2026, 1, 1, tzinfo=UTC)), None) is not None


def _days(fields: CronSim, day: date) -> Iterator[date]:
    """Yield the dates that match, from `day` on."""
    last_year = day.year + YEARS_TO_LOOK
    while day.year <= last_year:
        if day.month not in fields.months:
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            continue
        if fields.match_day(day):
            yield day
        day += timedelta(days=1)


def _at_times_of_day(fields: CronSim, tz: tzinfo, after: datetime) -> Iterator[datetime]:
    """Yield when the zone's clock first shows each matching time, or jumps over it."""
    shown = after.astimezone(tz).replace(tzinfo=None)
    hours, minutes = sorted(fields.hours), sorted(fields.minutes)
    for day in _days(fields, shown.date()):
        for hour, minute in itertools.product(hours, minutes):
            wall = datetime.combine(day, time(hour, minute))
            if wall <= shown:
                continue
            while _shown_at(slot := _moment(wall, tz), tz) != wall:
                wall += MINUTE
            shown = wall
            if slot > after:  # false if `after` is in the second pass of an hour and this slot in the first
                yield slot


def _in_real_time(fields: CronSim, tz: tzinfo, after: datetime) -> Iterator[datetime]:
    """Yield the minutes, in UTC, at which the zone's clock shows a matching time."""
    moment = after.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE
    minutes = sorted(fields.minutes)
    # A clock can go back across midnight, so yesterday may not be over yet.
    for day in _days(fields, after.astimezone(tz).date() - timedelta(days=1)):
        start, end = datetime.combine(day, time()), datetime.combine(day + timedelta(days=1), time())
        moment = max(moment, min(_moment(start, tz, fold=fold) for fold in (0, 1)))
        end_of_day = max(_moment(end, tz, fold=fold) for fold in (0, 1))
        while moment < end_of_day:
            # An hour at a time; a minute at a time where the clock changes within the hour.
            shown = _shown_at(moment, tz)
            length = 60 - shown.minute
            if _shown_at(moment + (length - 1) * MINUTE, tz) - shown != (length - 1) * MINUTE:
                length = 1
            if shown.hour in fields.hours and shown.month in fields.months and fields.match_day(shown.date()):
                for minute in minutes:
                    if 0 <= minute - shown.minute < length:
                        yield moment + (minute - shown.minute) * MINUTE
            moment += length * MINUTE


def _moment(wall: datetime, tz: tzinfo, *, fold: int = 0) -> datetime:
    return wall.replace(tzinfo=tz, fold=fold).astimezone(UTC)


def _shown_at(moment: datetime, tz: tzinfo) -> datetime:
    return moment.astimezone(tz).replace(tzinfo=None, fold=0)
