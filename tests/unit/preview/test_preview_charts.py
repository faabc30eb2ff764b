"""Panel JSON and series in, what is drawn out: no browser, no server."""

import json
import math
import time
from typing import Any

import pytest

from rqmon.preview.draw.colors import css_color, mix, with_alpha
from rqmon.preview.draw.fields import field_for, parse_field
from rqmon.preview.draw.frames import Answer, frames_of, reduce
from rqmon.preview.draw.views import view
from rqmon.preview.grafana.model import Panel, parse_dashboard
from rqmon.preview.grafana.queries import plan
from rqmon.preview.grafana.timerange import TimeRange
from rqmon.preview.grafana.variables import Value
from rqmon.preview.prometheus import Series

RANGE = TimeRange("now-1m", "now", 1000.0, 1060.0)
TIMES = tuple(1000.0 + 15 * i for i in range(5))
HOSTILE = "<script>alert(1)</script>"
GREEN_RED = {"steps": [{"color": "green", "value": 0}, {"color": "red", "value": 10}]}


def panel(kind: str, **fields: Any) -> Panel:
    targets = fields.pop("targets", [{"refId": "A", "expr": "x", "legendFormat": "{{queue}}"}])
    grid = {"x": 0, "y": 0, "w": 12, "h": 8}
    data = {"id": 1, "type": kind, "title": "T", "gridPos": grid, "targets": targets, **fields}
    return parse_dashboard({"uid": "u", "title": "D", "panels": [data]}).sections[0].panels[0]


def answer(panel: Panel, *series: tuple[dict[str, str], list[float]], target: int = 0) -> Answer:
    found = [Series(labels, tuple(zip(TIMES, map(float, values), strict=False))) for labels, values in series]
    return Answer(panel.targets[target], found, TIMES)


def drawn(panel: Panel, *series: tuple[dict[str, str], list[float]]) -> Any:
    return view(panel, [answer(panel, *series)], RANGE, {})


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
    """NiceGUI evaluates what stands under a key that begins with a colon: only our own calls may."""
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


def test_a_stat_has_its_value_colour_and_sparkline() -> None:
    subject = panel("stat", fieldConfig={"defaults": {"unit": "s", "thresholds": GREEN_RED}})
    html = drawn(subject, ({"queue": "a"}, [1, 5, 12])).html
    assert '12<span class="tile-unit"> s</span>' in html
    assert "color: #F2495C" in html
    assert "<polyline" in html


def test_mappings_win_over_units() -> None:
    up = {"type": "value", "options": {"1": {"text": "Up", "color": "green"}}}
    high = {"type": "range", "options": {"from": 5, "to": None, "result": {"text": "High"}}}
    null = {"type": "special", "options": {"match": "null", "result": {"text": "Nothing"}}}
    field = parse_field({"unit": "s", "mappings": [up, high, null]})
    assert [field.text(v) for v in (1.0, 7.0, None, 2.0)] == ["Up", "High", "Nothing", "2 s"]
    assert field.color(1.0) == "#73BF69"
    # One that is no number, or has no end, costs no more than its own text.
    assert [field.text(float(v)) for v in ("inf", "-inf", "nan")] == ["High", "-∞", "Nothing"]


def test_percentage_thresholds_and_bounds() -> None:
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 80}]
    field = parse_field({"min": 0, "max": 50, "thresholds": {"mode": "percentage", "steps": steps}})
    assert (field.threshold_color(39), field.threshold_color(40)) == ("green", "red")
    assert parse_field({"unit": "percentunit"}).bounds() == (0, 1)
    assert parse_field({}).bounds([3, 8]) == (0, 8)


def test_display_name_and_unknown_matchers() -> None:
    overrides = panel(
        "stat",
        fieldConfig={
            "overrides": [
                {
                    "matcher": {"id": "byName", "options": "a"},
                    "properties": [{"id": "displayName", "value": "A"}],
                },
                {
                    "matcher": {"id": "byType", "options": "number"},
                    "properties": [{"id": "unit", "value": "s"}],
                },
            ]
        },
    ).overrides
    field = field_for("a", ref_id="A", defaults={"unit": "ms"}, overrides=overrides)
    assert (field.display_name, field.unit) == ("A", "ms")


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


def test_tables_join_on_labels_and_organize() -> None:
    organize = {
        "excludeByName": {"Time": True},
        "indexByName": {"queue": 0},
        "renameByName": {"Value #A": "Jobs"},
    }
    subject = panel(
        "table",
        targets=[
            {"refId": "A", "expr": "x", "format": "table"},
            {"refId": "B", "expr": "y", "format": "table"},
        ],
        transformations=[{"id": "merge"}, {"id": "organize", "options": organize}],
        options={"sortBy": [{"displayName": "Jobs", "desc": True}]},
    )
    first = answer(subject, ({"queue": "a"}, [1]), ({"queue": "b"}, [2]))
    second = answer(subject, ({"queue": "a"}, [5]), target=1)
    html = view(subject, [first, second], RANGE, {}).html
    heads = [part.split(">")[1].split("<")[0] for part in html.split("<th ")[1:]]
    cells = [part.split(">")[1].split("<")[0] for part in html.split("<td ")[1:]]
    assert heads == ["queue", "Jobs", "Value #B"]
    assert cells == ["b", "2", "", "a", "1", "5"]


LINKS = [{"title": "Jobs", "url": "${rq}/${__data.fields.queue:percentencode}/${__field.labels.queue}"}]


def linked(kind: str, queue: str, address: str) -> str:
    """The links drawn for a queue, between what comes before and after them."""
    shown = view(
        panel(kind, fieldConfig={"defaults": {"links": LINKS}}),
        [answer(panel(kind), ({"queue": queue}, [1]))],
        RANGE,
        {"rq": Value((address,))},
    )
    return shown.html + shown.legend


@pytest.mark.parametrize("kind", ["table", "timeseries"])
def test_a_link_leads_where_its_variables_and_labels_say(kind: str) -> None:
    expected = 'href="https://rq.example.org/0/a%2Fb%3F%20%26%24rq/a/b? &amp;$rq" rel="noopener"'
    assert expected in linked(kind, "a/b? &$rq", "https://rq.example.org/0")


@pytest.mark.parametrize("kind", ["table", "timeseries"])
@pytest.mark.parametrize(
    "address", ["javascript:alert(1)//", "data:text/html,", "//evil.example", "", " http://x"]
)
def test_only_web_pages_are_linked(kind: str, address: str) -> None:
    assert "<a " not in linked(kind, "a", address)


@pytest.mark.parametrize("kind", ["table", "timeseries"])
def test_no_label_breaks_out_of_a_link(kind: str) -> None:
    drawn = linked(kind, '"><script>', 'http://x/"><script>')
    assert "<a " in drawn
    assert "<script" not in drawn


def test_a_table_links_the_column_that_has_the_link() -> None:
    override = {
        "matcher": {"id": "byName", "options": "queue"},
        "properties": [{"id": "links", "value": LINKS}],
    }
    subject = panel("table", fieldConfig={"overrides": [override]})
    html = view(subject, [answer(subject, ({"queue": "a"}, [1]))], RANGE, {"rq": Value(("http://x",))}).html
    assert html.count("<a ") == 1
    assert '<a href="http://x/a/a" rel="noopener" title="Jobs">a</a></td>' in html


def test_no_series_is_said_plainly() -> None:
    assert drawn(panel("stat")).message == "No data"
    assert drawn(panel("stat", fieldConfig={"defaults": {"noValue": "Idle"}})).message == "Idle"
    assert "does not draw" in drawn(panel("geomap"), ({}, [1])).message


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


def test_calculations() -> None:
    values = (2.0, None, 4.0, 9.0, None)
    found = {
        calc: reduce(values, calc) for calc in ("lastNotNull", "last", "first", "min", "max", "mean", "sum")
    }
    assert found == {"lastNotNull": 9, "last": None, "first": 2, "min": 2, "max": 9, "mean": 5, "sum": 15}
    assert reduce((), "mean") is None


def test_series_without_a_legend_format_are_named_by_what_differs() -> None:
    subject = panel("timeseries", targets=[{"refId": "A", "expr": "x", "legendFormat": "__auto"}])
    series = [({"queue": "a", "job": "j"}, [1.0]), ({"queue": "b", "job": "j"}, [1.0])]
    assert [f.name for f in frames_of(subject, [answer(subject, *series)], {})[0]] == ["a", "b"]
    plain = panel("timeseries", targets=[{"refId": "A", "expr": "x"}])
    named, _ = frames_of(plain, [answer(plain, ({"__name__": "up", "job": "j"}, [1.0]))], {})
    assert named[0].name == 'up{job="j"}'


def test_colours() -> None:
    assert css_color("semi-dark-red") == "#E02F44"
    assert css_color("url(javascript:alert(1))") == css_color("gray")
    assert with_alpha("#73BF69", 0.5) == "#73BF6980"
    assert mix(("#000000", "#ffffff"), 0.5) == "#808080"


@pytest.mark.parametrize("data", [[], {}, {"title": "x", "panels": {}}, {"title": "x", "panels": []}])
def test_what_is_no_dashboard_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="dashboard"):
        parse_dashboard(data)


def test_a_panel_of_the_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match="KeyError: 'gridPos'"):
        parse_dashboard(json.loads('{"uid": "u", "title": "t", "panels": [{"type": "stat"}]}'))


@pytest.mark.parametrize("kind", ["timeseries", "state-timeline", "stat", "gauge", "bargauge"])
def test_of_many_series_the_largest_are_drawn_and_the_panel_says_so(kind: str) -> None:
    subject = panel(kind, options={"textMode": "value_and_name"})
    # By their peaks, wherever those are, and in the order in which they came.
    shown = drawn(subject, *(({"queue": f"q-{i:04}"}, [i, math.nan, 0]) for i in range(1012)))
    text = shown.html + json.dumps(shown.option)
    assert ("q-0911" in text, "q-0912" in text, "q-1011" in text) == (False, True, True)
    assert text.index("q-0912") < text.index("q-1011")
    assert shown.cut == "The 100 largest series of 1,012"
    assert drawn(subject, *(({"queue": f"q-{i}"}, [1]) for i in range(100))).cut == ""


def test_of_many_rows_the_first_as_sorted_are_shown() -> None:
    subject = panel("table", options={"sortBy": [{"displayName": "Value", "desc": True}]})
    shown = drawn(subject, *(({"queue": f"q-{i}"}, [i]) for i in range(201)))
    assert shown.html.count("<tr>") == 1 + 200
    assert (">q-200<" in shown.html, ">q-0<" in shown.html) == (True, False)
    assert shown.cut == "The 200 first rows of 201"


def test_of_many_rows_that_are_not_sorted_the_largest_are_shown() -> None:
    shown = drawn(panel("table"), *(({"queue": f"q-{i}"}, [i]) for i in range(201)))
    assert (">q-200<" in shown.html, ">q-1<" in shown.html, ">q-0<" in shown.html) == (True, True, False)
    assert shown.html.index(">q-1<") < shown.html.index(">q-200<")
    assert shown.cut == "The 200 largest rows of 201"


def test_hidden_series_do_not_count_as_cut() -> None:
    hide = {"id": "custom.hideFrom", "value": {"viz": True}}
    overrides = [{"matcher": {"id": "byRegexp", "options": "^h"}, "properties": [hide]}]
    subject = panel("timeseries", fieldConfig={"overrides": overrides})
    names = [f"{'h' if i % 2 else 'q'}{i}" for i in range(200)]
    shown = drawn(subject, *(({"queue": name}, [1]) for name in names))
    assert (len(shown.option["series"]), shown.cut) == (100, "")


def test_a_heatmap_is_drawn_from_all_of_its_buckets() -> None:
    subject = panel("heatmap", targets=[{"refId": "A", "expr": "x", "legendFormat": "{{le}}"}])
    shown = drawn(subject, *(({"le": str(i)}, [i]) for i in range(150)))
    assert (len(shown.option["yAxis"]["data"]), shown.cut) == (150, "")


def test_series_that_match_the_same_overrides_share_a_field() -> None:
    red = {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}
    overrides = [{"matcher": {"id": "byRegexp", "options": "^b"}, "properties": [red]}]
    subject = panel("timeseries", fieldConfig={"overrides": overrides})
    series = [({"queue": name}, [1.0]) for name in ("a1", "b1", "a2", "b2")]
    first, second, third, fourth = (f.field for f in frames_of(subject, [answer(subject, *series)], {})[0])
    assert first is third
    assert second is fourth
    assert (first.color_mode, second.color_mode) == ("thresholds", "fixed")
