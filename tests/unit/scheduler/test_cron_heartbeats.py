import json

import pytest

from scheduler.cron.heartbeats import LIVE_SECONDS, parse

NOW = 1_795_000_000.0
ABOUT = {"host": "h", "pid": 1, "version": "1", "started_at": NOW - 60, "heartbeat": NOW, "worked_at": NOW}


def seen(**fields):
    return parse({b"h:1:a": json.dumps({**ABOUT, **fields}).encode()}, now=NOW)


def test_a_process_that_said_so_lately_is_live_and_one_of_the_future_is_not():
    assert seen().live["h:1:a"].is_working(NOW)
    assert seen(heartbeat=NOW - LIVE_SECONDS + 1).live
    for heartbeat in (NOW - LIVE_SECONDS - 1, NOW + 3 * 86400, 99_999_999_999):
        found = seen(heartbeat=heartbeat)
        assert (found.live, found.unreadable, found.gone) == ({}, (), (b"h:1:a",))


@pytest.mark.parametrize("worked_at", [None, NOW - LIVE_SECONDS - 1, NOW + 7200])
def test_a_process_that_gets_nothing_done_is_live_and_does_not_work(worked_at):
    [process] = seen(worked_at=worked_at, trouble="Redis refuses").live.values()
    assert not process.is_working(NOW)


def test_a_process_of_an_older_version_works():
    about = {name: value for name, value in ABOUT.items() if name != "worked_at"}
    [process] = parse({b"h:1": json.dumps(about).encode()}, now=NOW).live.values()
    assert process.is_working(NOW)


@pytest.mark.parametrize(
    "stored",
    [
        b"junk",
        b"\xff",
        b"[]",
        b"5",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"host": 1, "pid": "x", "started_at": 1, "heartbeat": 1}',
        b'{"host": "h", "pid": 1, "started_at": 1, "heartbeat": Infinity}',
        b'{"host": "h", "pid": 1, "started_at": 1, "heartbeat": NaN}',
        b'{"host": "h", "pid": 1, "started_at": 1, "heartbeat": 1, "passed_over": 5}',
    ],
)
def test_what_is_no_heartbeat_is_named_and_costs_no_other(stored):
    found = parse({b"h:1:a": json.dumps(ABOUT).encode(), b"\xffjunk": stored}, now=NOW)
    assert list(found.live) == ["h:1:a"]
    assert found.unreadable == ("\\xffjunk",)
