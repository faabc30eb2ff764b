"""A panel's queries: expressions, steps and times."""

import time

import pytest

from rqmon.preview.grafana.queries import plan
from rqmon.preview.grafana.timerange import TimeRange
from rqmon.preview.grafana.variables import Value
from tests.unit.preview.drawing import panel


def test_queries_are_interpolated_aligned_and_bounded() -> None:
    targets = [
        {"refId": "A", "expr": 'rate(x{queue=~"$queue"}[$__rate_interval])'},
        {"refId": "B", "expr": "x", "instant": True},
        {"refId": "C", "expr": "x", "hide": True},
    ]
    day = TimeRange("now-24h", "now", 1_000_000_007.0, 1_000_086_407.0)
    planned = plan(
        panel("timeseries", targets=targets), day, {"queue": Value(("a",))}, scrape_interval_seconds=5
    )
    (_, ranged), (_, instant) = planned
    assert ranged.expr == 'rate(x{queue=~"a"}[305s])'
    assert (ranged.start % 300, ranged.end % 300, len(ranged.times)) == (0, 0, 289)
    assert (instant.step_seconds, instant.end, instant.times) == (0, day.end, ())


@pytest.mark.parametrize(("mode", "most"), [("none", 300), ("normal", 120), ("percent", 120)])
def test_points_of_stacked_areas_are_more_than_two_pixels_apart(mode: str, most: int) -> None:
    stacked = panel(
        "timeseries",
        gridPos={"x": 0, "y": 0, "w": 12, "h": 8},
        targets=[{"refId": "A", "expr": "x"}],
        fieldConfig={"defaults": {"custom": {"stacking": {"mode": mode}}}},
    )
    half_hour = TimeRange("now-30m", "now", 1_000_000_000.0, 1_000_001_800.0)
    [(_, query)] = plan(stacked, half_hour, {}, scrape_interval_seconds=1)
    assert most / 2 < len(query.times) <= most + 1


def test_what_is_asked_for_now_is_never_asked_of_the_future() -> None:
    targets = [{"refId": "A", "expr": "increase(x[$__range])", "instant": True}, {"refId": "B", "expr": "x"}]
    before = time.time()
    today = TimeRange("now/d", "now/d", before - 60, before + 3600)
    (_, instant), (_, ranged) = plan(panel("stat", targets=targets), today, {}, scrape_interval_seconds=5)
    assert before <= instant.end <= time.time()
    assert instant.expr == "increase(x[60s])"
    assert ranged.end > time.time()
