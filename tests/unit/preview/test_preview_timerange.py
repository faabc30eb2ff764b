import time
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from rqmon.preview.grafana.model import parse_dashboard
from rqmon.preview.grafana.timerange import (
    duration_seconds,
    format_seconds,
    parse_moment,
    parse_range,
    step_seconds,
)
from rqmon.preview.web.view_state import state_from_query

NOW = 1_800_000_000.0
DASHBOARD = parse_dashboard(
    {
        "uid": "a b",
        "title": "A",
        "panels": [],
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [{"name": "queue", "type": "custom", "query": "x,y"}]},
    }
)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("now-5m", NOW - 300),
        ("now-2d", NOW - 172800),
        ("1700000000000", 1_700_000_000.0),
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14T22:13:20", 1_700_000_000.0),
        ("yesterday", None),
        ("now-", None),
        ("now-5x", None),
        ("now/x", None),
        ("now-999999y/y", None),
        ("now-999999d/d", None),
        ("", None),
    ],
)
def test_moments(text: str, moment: float | None) -> None:
    assert parse_moment(text, now=NOW) == moment


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("now", "now-1h"),
        ("now", "now"),
        ("now-2y", "now"),
        ("now-1y/y", "now/y"),
        ("now-999999y", "now-999998y"),
        ("x", "now"),
        ("1810000000000", "1832000000000"),
    ],
)
def test_senseless_ranges_are_refused(start: str, end: str) -> None:
    assert parse_range(start, end, now=NOW) is None


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "now", "text", "start", "end"),
    [  # start and end in UTC; the end is given as the moment after it
        ("UTC", "2026-03-31T10:20", "now/d", "2026-03-31T00:00", "2026-04-01T00:00"),
        ("UTC", "2026-03-31T10:20", "now-1d/d", "2026-03-30T00:00", "2026-03-31T00:00"),
        ("UTC", "2026-03-31T10:20", "now-11h/d", "2026-03-30T00:00", "2026-03-31T00:00"),
        ("UTC", "2026-03-31T10:20", "now/w", "2026-03-30T00:00", "2026-04-06T00:00"),  # from Monday
        ("UTC", "2026-03-29T23:59", "now-1w/w", "2026-03-16T00:00", "2026-03-23T00:00"),
        ("UTC", "2026-03-31T10:20", "now/M", "2026-03-01T00:00", "2026-04-01T00:00"),
        ("UTC", "2026-03-31T10:20", "now-1M/M", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("UTC", "2026-03-31T10:20", "now-1M/d", "2026-02-28T00:00", "2026-03-01T00:00"),
        ("UTC", "2026-12-31T10:20", "now/y", "2026-01-01T00:00", "2027-01-01T00:00"),
        ("UTC", "2024-02-29T10:20", "now-1y/y", "2023-01-01T00:00", "2024-01-01T00:00"),
        ("Europe/Berlin", "2026-03-28T23:30", "now/d", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours
        ("Europe/Berlin", "2026-03-29T22:30", "now-1d/d", "2026-03-28T23:00", "2026-03-29T22:00"),
    ],
    indirect=["zone"],
)
@pytest.mark.usefixtures("zone")
def test_calendar_ranges_reach_from_the_start_to_the_end(now: str, text: str, start: str, end: str) -> None:
    at, first, following = (
        datetime.fromisoformat(t).replace(tzinfo=UTC).timestamp() for t in (now, start, end)
    )
    found = parse_range(text, text, now=at)
    assert found is not None
    assert (found.start, found.end) == (first, following - 0.001)


def test_a_persons_zone_wins_over_this_machines() -> None:
    at = datetime(2026, 3, 31, 20, tzinfo=UTC).timestamp()  # the first of April in Tokyo
    found = parse_range("now/d", "now", now=at, zone=ZoneInfo("Asia/Tokyo"))
    assert found is not None
    assert found.label == "2026-04-01 00:00:00 to 2026-04-01 05:00:00"
    assert found.start == datetime(2026, 3, 31, 15, tzinfo=UTC).timestamp()


def test_labels() -> None:
    quick = parse_range("now-15m", "now", now=NOW)
    fixed = parse_range("1700000000000", "1700000060000", now=NOW)
    assert quick is not None
    assert fixed is not None
    assert quick.label == "Last 15 minutes"
    assert fixed.label.count(":") == 4


@pytest.mark.parametrize(
    ("seconds", "minimum", "step"),
    [
        (300, 1, 1),
        (300, 5, 5),
        (3600, 1, 15),
        (86400, 15, 300),
        (7 * 86400, 15, 3600),
        (366 * 86400, 15, 86400 * 2),
    ],
)
def test_steps_are_round_and_give_few_points(seconds: float, minimum: float, step: float) -> None:
    found = step_seconds(seconds, points=300, min_step_seconds=minimum)
    assert found == step
    assert seconds / found <= 300


def test_durations() -> None:
    assert [duration_seconds(text) for text in ("15s", "1m30s", "2", "x", "")] == [15, 90, 2, None, None]
    assert format_seconds(60) == "60s"
    assert format_seconds(0.25) == "250ms"


def test_the_address_wins_and_is_written_back() -> None:
    pairs = [
        ("var-queue", "x"),
        ("var-queue", "y&z"),
        ("var-other", "1"),
        ("from", "now-1h"),
        ("refresh", "5s"),
    ]
    state, notice = state_from_query(DASHBOARD, pairs, now=NOW)
    assert notice == ""
    assert state.selection == {"queue": ("x", "y&z")}
    assert state.path("a b") == "/d/a%20b?var-queue=x&var-queue=y%26z&from=now-1h&to=now&refresh=5s"


def test_what_is_not_valid_in_the_address_falls_back_to_the_dashboard() -> None:
    state, notice = state_from_query(DASHBOARD, [("from", "now-99y"), ("refresh", "1ms")], now=NOW)
    assert "not valid" in notice
    assert (state.start, state.end, state.refresh) == ("now-6h", "now", "30s")
    assert state.refresh_seconds == 30
    assert state.range_at(NOW).seconds == 6 * 3600
