from pathlib import Path
from typing import Any

import pytest

from rqmon.preview.grafana.library import load_dashboards
from rqmon.preview.grafana.model import ALL, Variable, parse_dashboard
from rqmon.preview.grafana.timerange import TimeRange
from rqmon.preview.grafana.variables import (
    Value,
    built_in,
    choices_from,
    chosen,
    interpolate,
    label_query,
    value_of,
)
from rqmon.preview.web.view_state import state_from_query

CHOICES = [("a", "a"), ("b.c", "b.c")]


def variable(**fields: Any) -> Variable:
    data = {"name": "queue", "type": "query", "query": "label_values(rq_jobs, queue)"} | fields
    dashboard = parse_dashboard({"uid": "x", "title": "X", "panels": [], "templating": {"list": [data]}})
    return dashboard.variables[0]


MULTI = variable(multi=True, includeAll=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('rq{queue=~"$queue"}', 'rq{queue=~"(a|b\\\\.c)"}'),
        ("${queue}", "(a|b\\\\.c)"),
        ("[[queue]]", "(a|b\\\\.c)"),
        ("${queue:regex}", "(a|b\\.c)"),
        ("${queue:pipe}", "a|b.c"),
        ("${queue:csv}", "a,b.c"),
        ("${queue:text}", "a + b.c"),
        ("${queue:doublequote}", '"a","b.c"'),
        ("$unknown ${unknown} $1", "$unknown ${unknown} $1"),
        ("$queues", "$queues"),
    ],
)
def test_formats(text: str, expected: str) -> None:
    assert interpolate(text, {"queue": Value(("a", "b.c"), is_regex=True)}) == expected


def test_one_value_stands_alone_and_quotes_stay_inside_the_string() -> None:
    assert interpolate("$v", {"v": Value(("a",), is_regex=True)}) == "a"
    assert interpolate("$v", {"v": Value(('x"} or vector(1)',))}) == 'x\\"} or vector(1)'
    assert interpolate("$v", {"v": Value(('"(x',), is_regex=True)}) == '\\"\\\\(x'


def test_all_is_its_own_value_or_every_choice_or_anything() -> None:
    with_value = variable(multi=True, includeAll=True, allValue=".*")
    assert value_of(with_value, (ALL,), CHOICES).format(None) == ".*"
    assert value_of(MULTI, (ALL,), CHOICES).format(None) == "(a|b\\\\.c)"
    assert value_of(MULTI, (ALL,), []).format(None) == ".+"
    assert value_of(MULTI, (ALL,), CHOICES).format("text") == "All"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(None, (ALL,)), ((), (ALL,)), (("a",), ("a",)), (("gone",), ("gone",)), (("All", "a"), (ALL,))],
)
def test_what_is_chosen(asked: tuple[str, ...] | None, expected: tuple[str, ...]) -> None:
    assert chosen(MULTI, asked, CHOICES) == expected


def test_without_multi_and_all_the_first_choice_counts() -> None:
    assert chosen(variable(), None, CHOICES) == ("a",)
    assert chosen(variable(), ("b.c", "a"), CHOICES) == ("b.c",)
    assert chosen(variable(type="constant", query="5"), None, []) == ("5",)


def test_a_constant_may_be_another_where_the_preview_runs() -> None:
    folder = Path(__file__).parents[3] / "monitoring/grafana/dashboards"
    for given, value in (
        ({}, "http://127.0.0.1:9181"),
        ({"rq_dashboard": "http://x", "queue": "q"}, "http://x"),
    ):
        dashboards = load_dashboards(folder, given)
        for uid in ("rq-dashboard", "rq-queues"):
            dashboard = dashboards[uid]
            variables = {variable.name: variable for variable in dashboard.variables}
            constant = variables["rq_dashboard"]
            assert constant.hidden
            assert chosen(constant, None, constant.choices) == (value,)
            assert chosen(constant, ("http://y",), constant.choices) == (value,)
            state, _ = state_from_query(dashboard, [("var-rq_dashboard", "http://y")], now=0)
            assert state.selection == {}
            assert variables["queue"].current == (ALL,)


def test_label_queries() -> None:
    values = {"env": Value(("x",))}
    assert label_query(MULTI, {}) == ("queue", "rq_jobs")
    assert label_query(variable(query="label_values(queue)"), {}) == ("queue", "")
    nested = variable(query='label_values(rq_jobs{env="$env", a="b,c"}, queue)')
    assert label_query(nested, values) == ("queue", 'rq_jobs{env="x", a="b,c"}')
    assert label_query(variable(query="metrics(rq_)"), {}) is None


def test_choices_are_filtered_and_sorted() -> None:
    assert choices_from(variable(sort=1), ["b", "a"]) == [("a", "a"), ("b", "b")]
    assert choices_from(variable(sort=4), ["q2", "q10"]) == [("q10", "q10"), ("q2", "q2")]
    assert choices_from(variable(regex="/^rq:(.*)/"), ["rq:x", "other"]) == [("x", "x")]
    assert choices_from(variable(regex="/(/"), ["a"]) == [("a", "a")]


def test_intervals_come_from_the_step() -> None:
    hour = TimeRange("now-1h", "now", 1000.0, 4600.0)
    slow = built_in(hour, step_seconds=15, scrape_interval_seconds=5)
    fast = built_in(hour, step_seconds=60, scrape_interval_seconds=5)
    assert interpolate("[$__rate_interval] $__interval $__range", slow) == "[20s] 15s 3600s"
    assert interpolate("[$__rate_interval] ${__range_s} $__from", fast) == "[65s] 3600 1000000"
