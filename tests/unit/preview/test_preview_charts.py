"""Panel JSON and series in, charts and HTML out: no browser, no server."""

import math
from typing import Any

import pytest

from tests.unit.preview.drawing import GREEN_RED, HOSTILE, drawn, panel


def test_series_share_one_grid_with_gaps() -> None:
    chart = drawn(panel("timeseries"), ({"queue": "a"}, [1, 2, math.nan, 4, 5]), ({"queue": "b"}, [7])).option
    assert [series["name"] for series in chart["series"]] == ["a", "b"]
    assert [point[1] for point in chart["series"][0]["data"]] == [1, 2, None, 4, 5]
    assert [point[1] for point in chart["series"][1]["data"]] == [7, None, None, None, None]
    assert chart["series"][0]["data"][1][0] == 1015 * 1000


def test_custom_fields_and_overrides_reach_the_chart() -> None:
    defaults = {"custom": {"lineWidth": 3, "fillOpacity": 50, "stacking": {"mode": "normal", "group": "A"}}}
    red = {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}
    overrides = [
        {"matcher": {"id": "byName", "options": "a"}, "properties": [red]},
        {
            "matcher": {"id": "byRegexp", "options": "/^b/"},
            "properties": [{"id": "custom.fillOpacity", "value": 0}],
        },
    ]
    subject = panel("timeseries", fieldConfig={"defaults": defaults, "overrides": overrides})
    first, second = drawn(subject, ({"queue": "a"}, [1]), ({"queue": "b"}, [1])).option["series"]
    assert first["color"] == "#F2495C"
    assert first["lineStyle"]["width"] == 3
    assert first["areaStyle"]["color"] == "#F2495C80"
    assert first["stack"] == second["stack"]
    assert "areaStyle" not in second


def test_percent_stacks_add_up_to_one() -> None:
    custom = {"stacking": {"mode": "percent", "group": "A"}}
    subject = panel("timeseries", fieldConfig={"defaults": {"custom": custom}})
    series = drawn(subject, ({"queue": "a"}, [1, 0]), ({"queue": "b"}, [3, 0])).option["series"]
    assert [s["data"][0][1] for s in series] == [0.25, 0.75]
    assert [s["data"][1][1] for s in series] == [0, 0]


def test_two_units_get_two_axes_and_thresholds_are_lines() -> None:
    overrides = [{"matcher": {"id": "byName", "options": "b"}, "properties": [{"id": "unit", "value": "s"}]}]
    defaults = {"unit": "short", "thresholds": GREEN_RED, "custom": {"thresholdsStyle": {"mode": "line"}}}
    subject = panel("timeseries", fieldConfig={"defaults": defaults, "overrides": overrides})
    chart = drawn(subject, ({"queue": "a"}, [1]), ({"queue": "b"}, [1])).option
    assert [axis["position"] for axis in chart["yAxis"]] == ["left", "right"]
    assert [s["yAxisIndex"] for s in chart["series"]] == [0, 1]
    assert [line["yAxis"] for line in chart["series"][0]["markLine"]["data"]] == [10]


def test_no_text_from_data_becomes_a_script_in_a_chart() -> None:
    """NiceGUI evaluates values under keys that begin with a colon: only our own calls may be there."""
    subject = panel("timeseries", fieldConfig={"defaults": {"unit": HOSTILE}})
    chart = drawn(subject, ({"queue": ":" + HOSTILE}, [1])).option

    def scripts(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [v for key, v in value.items() if key.startswith(":")]
            return own + [found for v in value.values() for found in scripts(v)]
        return [found for v in value for found in scripts(v)] if isinstance(value, list) else []

    assert len(scripts(chart)) == 3
    assert all(script.startswith("rqmon.") and "<" not in script for script in scripts(chart))


@pytest.mark.parametrize("kind", ["stat", "gauge", "bargauge", "table", "timeseries", "state-timeline"])
def test_names_are_escaped_in_html(kind: str) -> None:
    subject = panel(kind, options={"legend": {"displayMode": "table"}, "textMode": "value_and_name"})
    shown = drawn(subject, ({"queue": HOSTILE}, [1]), ({"queue": "b"}, [1]))
    assert shown.html or shown.legend
    assert "<script" not in shown.html + shown.legend


def test_state_bands_merge_equal_neighbours() -> None:
    states = {"type": "value", "options": {"0": {"text": "Idle"}, "1": {"text": "Busy"}}}
    subject = panel("state-timeline", fieldConfig={"defaults": {"mappings": [states]}})
    chart = drawn(subject, ({"queue": "w"}, [0, 0, 1, math.nan, 1])).option
    cells = chart["series"][0]["data"]
    assert [(c[0] / 1000, c[1] / 1000, c[3]) for c in cells] == [
        (1000, 1030, "Idle"),
        (1030, 1045, "Busy"),
        (1060, 1075, "Busy"),
    ]


def test_heatmap_takes_cumulative_buckets_apart() -> None:
    subject = panel("heatmap", targets=[{"refId": "A", "expr": "x", "legendFormat": "{{le}}"}])
    chart = drawn(subject, ({"le": "+Inf"}, [9]), ({"le": "0.5"}, [2]), ({"le": "10"}, [9])).option
    assert chart["yAxis"]["data"] == ["∞", "10", "0.500"]
    assert [(cell[2], cell[3]) for cell in chart["series"][0]["data"]] == [(1, "7"), (2, "2")]


def test_no_series_is_said_plainly() -> None:
    assert drawn(panel("stat")).message == "No data"
    assert drawn(panel("stat", fieldConfig={"defaults": {"noValue": "Idle"}})).message == "Idle"
    assert "does not draw" in drawn(panel("geomap"), ({}, [1])).message
