"""Slots around clock changes, compared with a brute-force search minute by minute, without cronsim."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest

from scheduler.cron.slots import Schedule


def oracle_values(field, low, high):
    """Return the numbers of a field with `*`, numbers, lists, ranges and steps."""
    values = set()
    for term in field.split(","):
        span, _, step = term.partition("/")
        start, _, end = span.partition("-")
        first, last = (low, high) if span == "*" else (int(start), int(end or start))
        values.update(range(first, last + 1, int(step or 1)))
    return values


class Oracle:
    """Debian cron's slots by brute force: every UTC minute in turn, with the local time at it."""

    def __init__(self, cron):
        minute, hour, day, month, weekday = cron.split()
        self.follows_real_time = "*" in minute + hour
        self.both_days = day.startswith("*") or weekday.startswith("*")
        self.minutes, self.hours = oracle_values(minute, 0, 59), oracle_values(hour, 0, 23)
        self.days, self.months = oracle_values(day, 1, 31), oracle_values(month, 1, 12)
        self.weekdays = {value % 7 for value in oracle_values(weekday, 0, 7)}

    def matches(self, wall):
        day, weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        return (
            wall.minute in self.minutes
            and wall.hour in self.hours
            and wall.month in self.months
            and ((day and weekday) if self.both_days else (day or weekday))
        )

    def slots(self, walls):
        """Return the slots among consecutive UTC minutes, each given with its local time.

        A slot at a time of day is due when the clock first reaches or passes that time.
        """
        if self.follows_real_time:
            return [moment for moment, wall in walls if self.matches(wall)]
        slots, latest = [], walls[0][1] - timedelta(minutes=1)
        for moment, wall in walls:
            is_due = False
            while latest < wall:
                latest += timedelta(minutes=1)
                is_due = self.matches(latest) or is_due
            if is_due:
                slots.append(moment)
        return slots


def minutes_of(timezone, start, end):
    """Yield every UTC minute with its local time."""
    zone = ZoneInfo(timezone)
    count = int((end - start).total_seconds() // 60)
    moments = (start + timedelta(minutes=n) for n in range(count))
    return [(moment, moment.astimezone(zone).replace(tzinfo=None)) for moment in moments]


def clock_changes(timezone, year):
    """Return the UTC hours of a year after which the zone's clock changes; if none, New Year."""
    zone, start = ZoneInfo(timezone), datetime(year, 1, 1, tzinfo=UTC)
    hours = [start + timedelta(hours=n) for n in range(366 * 24)]
    return [
        before
        for before, after in pairwise(hours)
        if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset()
    ] or [start]


REVIEWED = [
    *("0 */6 * * *", "15 */3 * * *", "5 */2 * * *", "*/15 2 * * *", "* * * * *", "*/10 * * * *"),
    *("0 * * * *", "30 * * * *", "15,45 * * * *", "* 1-3 * * *", "*/7 */5 * * *", "10,*/40 2,3 * * *"),
    *("*/20 1-3 * * 0", "*/30 0,23 * * *", "59 0-23/1,* * * *", "7 */4 29 3 7", "*/13 * 1-7 4,10 */2"),
    *("30 1 * * *", "0 2 * * *", "15 2 * * *", "45 1,2 * * *", "0-59 1-2 * * *", "0,30 0-4 * * *"),
    *("0 3 * * *", "59 23 * * *", "0 0 * * *", "10 0,2,23 * * *", "30 2 * * 0", "30 2 4 4 0"),
    *("0 1-23/2 */2 * 1-5", "5 2 1,5,29 3-4 *", "20 1 25 10 1", "0 9 * * 1"),
]
CHANGING_ZONES = [
    *(
        "UTC",
        "Europe/London",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "America/St_Johns",
        "Pacific/Apia",
    ),
    *("Asia/Beirut", "America/Havana", "America/Scoresbysund", "Pacific/Chatham", "Asia/Tehran"),
]
# Clock changes unlike today's: across midnight, by a day, and back by half an hour for good.
CHANGED_ZONES = [
    *(("America/St_Johns", 2010), ("Pacific/Apia", 2011), ("Asia/Pyongyang", 2018), ("Asia/Tehran", 2021)),
]


def random_cron(rng):
    def field(low, high):
        number, other = sorted(rng.sample(range(low, high + 1), 2))
        return rng.choice(
            (str(number), f"{number},{other}", f"{number}-{other}", f"{number}-{other}/3", "*", f"*/{other}")
        )

    every = ["*"] * 4
    day, month, weekday = (
        rng.choice([*every, field(1, 31)]),
        rng.choice([*every, "3-4,10-11"]),
        rng.choice([*every, field(0, 6)]),
    )
    return f"{field(0, 59)} {field(0, rng.choice((3, 23)))} {day} {month} {weekday}"


@pytest.mark.parametrize(
    ("timezone", "year"), [*((timezone, 2026) for timezone in CHANGING_ZONES), *CHANGED_ZONES]
)
def test_slots_around_clock_changes_are_those_of_brute_force_from_any_start(timezone, year):
    rng = random.Random(f"{timezone} {year}")
    crons = [*REVIEWED, *(random_cron(rng) for _ in range(20))]
    for change in clock_changes(timezone, year):
        start, end = change - timedelta(days=2), change + timedelta(days=2)
        # The day before shows whether a time comes for the first or the second time.
        walls = minutes_of(timezone, start - timedelta(days=1), end)
        for cron in crons:
            slots = Oracle(cron).slots(walls)
            schedule = Schedule(cron=cron, timezone=timezone)
            near = (change + timedelta(seconds=rng.uniform(-9000, 9000)) for _ in range(4))
            far = start + timedelta(seconds=rng.uniform(0, 2.5 * 86400))
            on_slots = rng.sample(slots, min(2, len(slots)))
            for moment in (start, *near, far, *(slot for slot in on_slots if slot > start)):
                expected = [slot for slot in slots if slot > moment]
                got = list(takewhile(end.__gt__, schedule.after(moment)))
                assert got == expected, (cron, timezone, moment)
