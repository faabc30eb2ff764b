"""The text, colour and name of a value, by its field's configuration, and tiles that show it."""

from rqmon.preview.draw.colors import css_color, mix, with_alpha
from rqmon.preview.draw.fields import field_for, parse_field
from rqmon.preview.draw.frames import frames_of, reduce
from tests.unit.preview.drawing import GREEN_RED, answer, drawn, panel


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
    # One that is not a number, or is infinite, affects only its own text.
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


def test_series_that_match_the_same_overrides_share_a_field() -> None:
    red = {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}
    overrides = [{"matcher": {"id": "byRegexp", "options": "^b"}, "properties": [red]}]
    subject = panel("timeseries", fieldConfig={"overrides": overrides})
    series = [({"queue": name}, [1.0]) for name in ("a1", "b1", "a2", "b2")]
    first, second, third, fourth = (f.field for f in frames_of(subject, [answer(subject, *series)], {})[0])
    assert first is third
    assert second is fourth
    assert (first.color_mode, second.color_mode) == ("thresholds", "fixed")
