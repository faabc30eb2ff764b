import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from scheduler import CronEntry, CronError
from scheduler.cron.entries import Outcome, arguments_digest, derive_id
from scheduler.cron.slots import Due, Schedule
from scheduler.serializers import configured

NAMES = ("id", "function", "queue_name")
INF, NAN = float("inf"), float("nan")
NOW = datetime(2026, 11, 24, 12, 0, 10, tzinfo=UTC)
SLOTS = tuple(NOW - timedelta(seconds=10, minutes=n) for n in range(4, -1, -1))


def entry(**kwargs):
    return CronEntry(
        **{
            "id": "an-id",
            "function": "tests.jobs.pid",
            "data": configured().dumps(("tests.jobs.pid", None, (1,), {"a": 2})),
            "digest": None,
            "queue_name": "q",
            "schedule": Schedule(cron="* * * * *", timezone="Europe/London"),
            "timeout": 5,
            "description": "d",
            **kwargs,
        }
    )


def test_the_digest_tells_arguments_apart_and_nothing_else():
    when = datetime(2019, 10, 24, tzinfo=UTC)
    same = [
        arguments_digest((1, "a"), {"x": {2, 1}, "when": when}),
        arguments_digest([1, "a"], {"when": when, "x": {1, 2}}),
    ]
    assert same[0] == same[1]
    assert arguments_digest((1,), {}) != arguments_digest(("1",), {})
    assert arguments_digest((), {"a": 1}) != arguments_digest((), {"a": 2})
    assert arguments_digest(((1, 2),), {}) != arguments_digest(([1, 2],), {})
    assert arguments_digest(({1: 2},), {}) != arguments_digest(({"1": 2},), {})
    assert arguments_digest(({1, 2},), {}) != arguments_digest(([1, 2],), {})


def test_the_digest_is_the_same_in_another_process():
    code = "from scheduler.cron.entries import arguments_digest as d; print(d((1,), {'x': {'b', 'a', 'c'}}))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


def test_an_argument_without_stable_text_needs_an_id():
    with pytest.raises(CronError, match="give cron_id"):
        arguments_digest((object(),), {})


def test_an_entry_survives_being_written_down():
    before = entry(retry_max=2, retry_intervals=(1, 2), overlap="skip", catch_up="all", late_after_seconds=3)
    after = CronEntry.from_stored(before.id, json.dumps(before.spec()).encode(), before.data)
    assert after == before
    assert (after.spec(), after.args, after.kwargs) == (before.spec(), (1,), {"a": 2})
    assert "data" not in before.spec()


@pytest.mark.parametrize(
    "change",
    [
        {"function": "a.c"},
        {"queue_name": "r"},
        {"schedule": Schedule(cron="* * * * *", timezone="Europe/London")},
        {"digest": "e"},
    ],
)
def test_a_derived_id_changes_with_what_it_is_derived_from(change):
    base = {"function": "a.b", "queue_name": "q", "schedule": Schedule(cron="* * * * *"), "digest": "d"}
    assert derive_id(**base) == derive_id(**base)
    assert derive_id(**{**base, **change}) != derive_id(**base)


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"catch_up": "none"}, "catch_up is 'none': use latest, all or skip"),
        ({"overlap": "wait"}, "overlap is 'wait': use allow or skip"),
        ({"late_after_seconds": 0}, "late_after_seconds is 0"),
        ({"late_after_seconds": 1e300}, "late_after_seconds is 1e\\+300"),
        *(({"timeout": it}, "timeout is ") for it in (0.5, 0, "0", "0h", INF, -INF, NAN, True, False, -5)),
        *(({"timeout": it}, "timeout is ") for it in (-1.5, 10**30, "soon", "", [1], "9" * 400)),
        *(
            ({name: "a\ud83d"}, "half a character")
            for name in ("id", "function", "queue_name", "description")
        ),
        *(({name: "a" * 1001}, "use at most 1000") for name in ("id", "function", "queue_name")),
        ({"retry_max": 10**400}, "A number of retries"),
        ({"retry_max": 1, "retry_intervals": (10**12,)}, "A number of retries"),
    ],
)
def test_an_invalid_option_names_the_valid_ones(kwargs, named):
    with pytest.raises(CronError, match=named):
        entry(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "busy", "queued", "missed", "skipped"),
    [
        ({}, False, SLOTS[-1:], SLOTS[:-1], ()),
        ({"catch_up": "all"}, False, SLOTS, (), ()),
        ({"catch_up": "skip"}, False, SLOTS[-1:], SLOTS[:-1], ()),
        ({"catch_up": "skip", "late_after_seconds": 5}, False, (), SLOTS, ()),
        ({"overlap": "skip"}, False, SLOTS[-1:], SLOTS[:-1], ()),
        ({"overlap": "skip"}, True, (), SLOTS[:-1], SLOTS[-1:]),
        ({"overlap": "skip", "catch_up": "all"}, False, SLOTS[:1], (), SLOTS[1:]),
        ({"overlap": "allow", "catch_up": "all"}, True, SLOTS, (), ()),
    ],
)
def test_each_due_slot_gets_exactly_one_fate(kwargs, busy, queued, missed, skipped):
    due = Due(SLOTS, 5, NOW + timedelta(minutes=1))
    chosen, dropped = entry(**kwargs).outcomes(due, now=NOW, busy=busy)
    assert tuple(chosen) == queued
    assert tuple(dropped[Outcome.MISSED]) == missed
    assert tuple(dropped[Outcome.SKIPPED]) == skipped
    assert len(chosen) + sum(map(len, dropped.values())) == due.total


@pytest.mark.parametrize("timeout", [1, -1, "1h", "90", 60.0, 1.5, None])
def test_a_timeout_that_rq_takes_is_taken(timeout):
    assert entry(timeout=timeout).timeout == timeout


@pytest.mark.parametrize(
    "spec",
    [b"[" * 100_000, b"\xff", b"{}", b"5", b'{"id": "x", "schedule": 5}', b'{"id": "y", "schedule": {}}'],
)
def test_a_stored_entry_that_cannot_be_read_is_refused_by_name(spec):
    with pytest.raises(CronError, match="'x' can't be read"):
        CronEntry.from_stored("x", spec, b"data")
