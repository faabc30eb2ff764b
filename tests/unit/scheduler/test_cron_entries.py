import subprocess
import sys
from datetime import UTC, datetime

import pytest

from scheduler import CronEntry, CronError
from scheduler.cron import constants
from scheduler.cron.entries import arguments_digest, derive_id, next_slot

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # a Tuesday


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        (constants.EVERY_MINUTE, datetime(2026, 11, 24, 12, 1, tzinfo=UTC)),
        (constants.EVERY_TEN_MINUTES, datetime(2026, 11, 24, 12, 10, tzinfo=UTC)),
        (constants.EVERY_MIDNIGHT, datetime(2026, 11, 25, tzinfo=UTC)),
        (constants.EVERY_WEEK, datetime(2026, 11, 29, tzinfo=UTC)),
        (constants.EVERY_NINE_PM_ON_SATURDAY, datetime(2026, 11, 28, 21, tzinfo=UTC)),
        (
            constants.EVERY_NINE_THIRTY_AM_ON_FIRST_SECOND_THIRD_FOURTH_OF_EACH_MONTH,
            datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
        ),
        ("30 8 * * mon-fri", datetime(2026, 11, 25, 8, 30, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
    ],
)
def test_next_slot_is_the_first_one_after(cron, expected):
    assert next_slot(cron, NOON) == expected


@pytest.mark.parametrize(
    "name", [n for n in vars(constants) if n.isupper() and not n.endswith("_IN_SECONDS")]
)
def test_every_constant_is_a_cron(name):
    assert next_slot(getattr(constants, name), NOON) > NOON


@pytest.mark.parametrize(
    ("cron", "named"),
    [
        ("61 * * * *", "bad minute"),
        ("* * * *", "five fields"),
        ("0 * * * * *", "five fields"),
        ("* 25 * * *", "bad hour"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("every day", "five fields"),
        ("", "five fields"),
    ],
)
def test_an_invalid_cron_says_what_is_wrong(cron, named):
    with pytest.raises(CronError, match=named):
        next_slot(cron, NOON)


def test_the_digest_tells_arguments_apart_and_nothing_else():
    when = datetime(2019, 10, 24, tzinfo=UTC)
    same = [
        arguments_digest((1, "a"), {"x": {2, 1}, "when": when}),
        arguments_digest([1, "a"], {"when": when, "x": {1, 2}}),
    ]
    assert same[0] == same[1]
    assert arguments_digest((1,), {}) != arguments_digest(("1",), {})
    assert arguments_digest((), {"a": 1}) != arguments_digest((), {"a": 2})


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
    with pytest.raises(CronError, match="give cron_id"):
        arguments_digest((), {"a": {1: "x", "y": 2}})


def test_an_entry_survives_being_written_down():
    entry = CronEntry(
        id="an-id",
        function="tests.jobs.pid",
        args=(1,),
        kwargs={"a": 2},
        queue_name="q",
        cron="* * * * *",
        timeout=5,
        description="d",
        retry_max=2,
        retry_intervals=(1, 2),
    )
    again = CronEntry.from_spec(entry.spec(), entry.args, entry.kwargs)
    assert again == entry
    assert (again.spec(), again.args, again.kwargs) == (entry.spec(), (1,), {"a": 2})
    assert not {"args", "kwargs"} & set(entry.spec())


@pytest.mark.parametrize(
    "change", [{"function": "a.c"}, {"queue_name": "r"}, {"cron": "1 * * * *"}, {"digest": "e"}]
)
def test_a_derived_id_changes_with_what_it_is_derived_from(change):
    base = {"function": "a.b", "queue_name": "q", "cron": "* * * * *", "digest": "d"}
    assert derive_id(**base) == derive_id(**base)
    assert derive_id(**{**base, **change}) != derive_id(**base)
