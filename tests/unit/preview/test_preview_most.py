"""With very many series or rows a panel shows some of them, and says so."""

import json
import math

import pytest

from tests.unit.preview.drawing import drawn, panel


@pytest.mark.parametrize("kind", ["timeseries", "state-timeline", "stat", "gauge", "bargauge"])
def test_of_many_series_the_largest_are_drawn_and_the_panel_says_so(kind: str) -> None:
    subject = panel(kind, options={"textMode": "value_and_name"})
    # By their last known values, whatever they were before, and in the order in which they came.
    shown = drawn(subject, *(({"queue": f"q-{i:04}"}, [1012 - i, i, math.nan]) for i in range(1012)))
    text = shown.html + json.dumps(shown.option)
    assert ("q-0911" in text, "q-0912" in text, "q-1011" in text) == (False, True, True)
    assert text.index("q-0912") < text.index("q-1011")
    assert shown.cut == "100 of 1,012 series, by last value"
    assert drawn(subject, *(({"queue": f"q-{i}"}, [1]) for i in range(100))).cut == ""


def test_of_many_series_that_end_alike_the_largest_in_total_are_drawn() -> None:
    # Counts in steps: little happens in the last one.
    shown = drawn(panel("timeseries"), *(({"queue": f"q-{i:03}"}, [i, 0]) for i in range(150)))
    names = [series["name"] for series in shown.option["series"]]
    assert (len(names), names[0], names[-1]) == (100, "q-050", "q-149")


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
