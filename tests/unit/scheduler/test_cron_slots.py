import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest

from scheduler import CronError
from scheduler.cron import constants
from scheduler.cron.slots import Schedule
from scheduler.ledger.cron import CRON_HISTORY_KEPT

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # a Tuesday
LONDON, NEW_YORK = "Europe/London", "America/New_York"


def first(cron, after=NOON, timezone="UTC"):
    return next(Schedule(cron=cron, timezone=timezone).after(after))


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        (constants.EVERY_MINUTE, datetime(2026, 11, 24, 12, 1, tzinfo=UTC)),
        (constants.EVERY_TEN_MINUTES, datetime(2026, 11, 24, 12, 10, tzinfo=UTC)),
        (constants.EVERY_MIDNIGHT, datetime(2026, 11, 25, tzinfo=UTC)),
        (constants.EVERY_WEEK, datetime(2026, 11, 30, tzinfo=UTC)),  # a Monday, as in the origin
        (constants.EVERY_NINE_PM_ON_SATURDAY, datetime(2026, 11, 28, 21, tzinfo=UTC)),
        (
            constants.EVERY_NINE_THIRTY_AM_ON_FIRST_SECOND_THIRD_FOURTH_OF_EACH_MONTH,
            datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
        ),
        ("30 8 * * mon-fri", datetime(2026, 11, 25, 8, 30, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
    ],
)
def test_the_first_slot_after_a_time(cron, expected):
    assert first(cron) == expected


@pytest.mark.parametrize(
    "name", [n for n in vars(constants) if n.isupper() and not n.endswith("_IN_SECONDS")]
)
def test_every_constant_is_a_cron(name):
    assert first(getattr(constants, name)) > NOON


@pytest.mark.parametrize(
    ("cron", "named"),
    [
        ("61 * * * *", "minute can't be '61'"),
        ("* * * *", "has 4 fields instead of five"),
        ("0 * * * * *", "has 6 fields"),
        ("* 25 * * *", "hour can't be '25'"),
        ("0 0 31 2 *", "day-of-month can't be '31'"),
        ("* * * * 9", "day-of-week can't be '9'"),
        ("", "has 0 fields"),
    ],
)
def test_an_invalid_cron_points_at_the_field(cron, named):
    with pytest.raises(CronError, match=named):
        Schedule(cron=cron)


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"cron": "* * * * *", "timezone": "Mars/Olympus"}, "Unknown time zone 'Mars/Olympus'"),
        ({"cron": "* * * * *", "timezone": None}, "timezone is None: use an IANA name"),
        ({"interval_seconds": 60, "timezone": ["UTC"]}, r"timezone is \['UTC'\]: use an IANA name"),
        ({"interval_seconds": 0}, "interval_seconds is 0: use a whole number from 1 to 315360000"),
        ({"interval_seconds": -5}, "interval_seconds is -5"),
        ({"interval_seconds": 315360001}, "interval_seconds is 315360001"),
        ({"interval_seconds": True}, "interval_seconds is True"),
        ({"interval_seconds": 60.0}, "interval_seconds is 60.0"),
        ({"interval_seconds": float("nan")}, "interval_seconds is nan"),
        ({"interval_seconds": "60"}, "interval_seconds is '60'"),
        ({"cron": "* * */30 * MON#2"}, "has no slot in 50 years"),  # the 1st or 31st, and the 8th to 14th
        ({"cron": "* 1 * 3 0L", "timezone": LONDON}, "has no slot in 50 years"),  # always skipped
        ({"interval_seconds": 5, "cron": "* * * * *"}, "either cron or interval_seconds"),
        ({}, "either cron or interval_seconds"),
    ],
)
def test_an_invalid_schedule_says_what_is_wrong(kwargs, named):
    with pytest.raises(CronError, match=named) as raised:
        Schedule(**kwargs)
    assert "\n" not in str(raised.value)


def test_an_interval_can_be_ten_years():
    assert next(Schedule(interval_seconds=315360000).after(NOON)) == datetime(2029, 12, 17, tzinfo=UTC)


def local_times(cron, timezone, after, count):
    zone = ZoneInfo(timezone)
    slots = islice(Schedule(cron=cron, timezone=timezone).after(after), count)
    return [f"{slot.astimezone(zone):%d %H:%M %Z}" for slot in slots]


def test_half_past_one_runs_right_after_the_gap_when_clocks_go_forward():
    after = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert local_times("30 1 * * *", LONDON, after, 2) == ["29 02:00 BST", "30 01:30 BST"]


def test_half_past_one_runs_once_when_clocks_go_back():
    after = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert local_times("30 1 * * *", LONDON, after, 2) == ["25 01:30 BST", "26 01:30 GMT"]


@pytest.mark.parametrize("minutes", range(0, 180, 5))
@pytest.mark.parametrize("cron", ["30 1 * * *", "0 2 * * *", "15,45 1 * * *", "*/15 * * * *"])
def test_asking_from_any_moment_of_a_clock_change_gives_the_same_slots(cron, minutes):
    for day, timezone in (
        (datetime(2026, 10, 24, 23, 30, tzinfo=UTC), LONDON),
        (datetime(2026, 3, 28, 23, 30, tzinfo=UTC), LONDON),
        (datetime(2026, 11, 1, 4, 30, tzinfo=UTC), NEW_YORK),
    ):
        schedule = Schedule(cron=cron, timezone=timezone)
        whole = list(islice(schedule.after(day), 40))
        moment = day + timedelta(minutes=minutes)
        asked = list(islice(schedule.after(moment), 10))
        assert asked == [slot for slot in whole if slot > moment][: len(asked)]
        assert asked == sorted(set(asked))


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 */6 * * *", ["04 06:00 +11", "04 12:00 +11", "04 18:00 +11", "05 00:00 +11", "05 06:00 +1030"]),
        ("15 */3 * * *", ["04 03:15 +11", "04 06:15 +11", "04 09:15 +11"]),
        ("5 */2 * * *", ["04 02:05 +11", "04 04:05 +11", "04 06:05 +11"]),
        ("*/15 2 5 * *", ["05 02:00 +1030", "05 02:15 +1030", "05 02:30 +1030", "05 02:45 +1030"]),
        (
            "*/15 1 5 4 *",
            [*(f"05 01:{m:02} +11" for m in (0, 15, 30, 45)), "05 01:30 +1030", "05 01:45 +1030"],
        ),
    ],
)
def test_a_clock_change_of_half_an_hour_loses_no_run(cron, expected):
    after = datetime(2026, 4, 3, 15, tzinfo=UTC)
    assert local_times(cron, "Australia/Lord_Howe", after, len(expected)) == expected


@pytest.mark.parametrize("cron", ["0 0 29 2 *", "*/30 0 29 2 *", "0 0 * 2 MON#5"])
def test_a_rare_date_is_found_for_two_centuries(cron):
    slots = list(takewhile(datetime(2200, 1, 1, tzinfo=UTC).__gt__, Schedule(cron=cron).after(NOON)))
    days = sorted({slot.date() for slot in slots})
    assert all((day.month, day.day) == (2, 29) for day in days)
    assert len(days) == (6 if "#" in cron else 42)


def test_an_hourly_cron_follows_real_time_over_a_clock_change():
    slots = list(
        islice(Schedule(cron="0 * * * *", timezone=LONDON).after(datetime(2026, 10, 24, 22, tzinfo=UTC)), 6)
    )
    assert {b - a for a, b in pairwise(slots)} == {timedelta(hours=1)}


def test_an_interval_keeps_its_phase_whenever_it_is_asked():
    schedule = Schedule(interval_seconds=7)
    slot = next(schedule.after(NOON))
    assert slot.timestamp() % 7 == 0
    assert next(schedule.after(slot - timedelta(microseconds=1))) == slot
    assert next(schedule.after(slot)) == slot + timedelta(seconds=7)


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(cron="* * * * *"),
        Schedule(interval_seconds=60),
        Schedule(cron="*/5 9-17 * * 1-5", timezone=LONDON),
    ],
)
def test_due_slots_are_counted_exactly(schedule):
    start = next(schedule.after(NOON))
    walked = [start]
    until = start + timedelta(hours=30)
    for slot in schedule.after(start):
        if slot > until:
            following = slot
            break
        walked.append(slot)
    due = schedule.due(start, until)
    assert (due.total, due.following) == (len(walked), following)
    assert list(due.slots) == walked[-CRON_HISTORY_KEPT:]


def test_six_years_of_seconds_are_counted_without_walking():
    due = Schedule(interval_seconds=1).due(
        datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=5)
    )
    assert due.total == (datetime(2026, 1, 1) - datetime(2020, 1, 1)).total_seconds() + 1  # noqa: DTZ001
    assert due.slots[-1] == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "first", "slots"),
    [
        ({"cron": "*/10 * * * *"}, "12:03", ("12:10", "12:20")),
        ({"cron": "*/10 * * * *"}, "12:10", ("12:10", "12:20")),
        ({"cron": "30 12 * * *"}, "12:05", ()),
        ({"interval_seconds": 600}, "12:03", ("12:10", "12:20")),
        ({"interval_seconds": 600}, "12:20", ("12:20",)),
    ],
)
def test_a_stored_slot_that_the_schedule_does_not_have_is_not_counted(schedule, first, slots):
    def at(clock):
        return datetime.fromisoformat(f"2026-11-26T{clock}:00+00:00")

    due = Schedule(**schedule).due(at(first), at("12:25"))
    assert due.slots == tuple(map(at, slots))
    assert due.total == len(slots)
    assert due.first_is_slot == (first in slots)


WITHOUT_ZONES = """
import sys
sys.modules["tzdata"] = None
from scheduler import CronError
from scheduler.cron.slots import Schedule
for name in ("UTC", "Etc/UTC", "Europe/London"):
    try:
        print(Schedule(cron="0 * * * *", timezone=name).timezone)
    except CronError as error:
        print(error)
"""


def test_utc_needs_no_zone_database_and_other_zones_say_what_to_install():
    env = {**os.environ, "PYTHONTZPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ZONES], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[:2] == ["UTC", "Etc/UTC"]
    [said] = done.stdout.splitlines()[2:]
    assert "'Europe/London' is unknown: install tzdata" in said
