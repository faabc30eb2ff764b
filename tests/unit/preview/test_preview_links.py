"""What is passed on from one dashboard to another, and where annotations are marked."""

from typing import Any

import pytest

from rqmon.preview.draw.annotations import marks_of
from rqmon.preview.grafana.links import link_html
from rqmon.preview.grafana.model import Annotation, Dashboard, parse_dashboard
from rqmon.preview.prometheus import Series
from rqmon.preview.web.view_state import path_between

PAIRS = [("var-queue", "a&b"), ("from", "now-1h"), ("to", "now"), ("refresh", ""), ("orgId", "1")]


def dashboard(*tags: str, links: tuple[dict[str, Any], ...] = ()) -> Dashboard:
    data = {"uid": "u/1", "title": "T", "panels": [], "tags": list(tags), "links": list(links)}
    return parse_dashboard(data)


def link(*tags: str, **options: bool) -> dict[str, Any]:
    return {"type": "dashboards", "tags": list(tags), **options}


BOTH = link("rq", includeVars=True, keepTime=True)


@pytest.mark.parametrize(
    ("links", "tags", "path"),
    [
        ((BOTH,), ("rq", "more"), "/d/u%2F1?var-queue=a%26b&from=now-1h&to=now&refresh="),
        ((link("rq", includeVars=True),), ("rq",), "/d/u%2F1?var-queue=a%26b"),
        ((link("rq", keepTime=True),), ("rq",), "/d/u%2F1?from=now-1h&to=now&refresh="),
        ((link("rq"),), ("rq",), "/d/u%2F1"),
        ((BOTH,), ("other",), "/d/u%2F1"),
        ((), ("rq",), "/d/u%2F1"),
        (({"type": "link", "url": "https://example.org"},), ("rq",), "/d/u%2F1"),
        ((link("rq", "more"), BOTH), ("rq",), "/d/u%2F1?var-queue=a%26b&from=now-1h&to=now&refresh="),
    ],
)
def test_the_first_link_to_all_of_its_tags_decides(
    links: tuple[dict[str, Any], ...], tags: tuple[str, ...], path: str
) -> None:
    assert path_between(dashboard(links=links).links, dashboard(*tags), PAIRS) == path


@pytest.mark.parametrize(
    ("url", "leads_to"),
    [
        ("/d/rq-queues?${__url_time_range}&${__all_variables}", '<a class="inward" href="/d/rq-queues"'),
        ("/d/${__data.fields.dashboard}?${__all_variables}", '<a class="inward" href="/d/rq-jobs"'),
        ("https://example.org/${__data.fields.dashboard}", '<a href="https://example.org/rq-jobs"'),
        ("/d/../logout", ""),
        ("//example.org/d/x", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_a_data_link_leads_to_a_dashboard_or_outside(url: str, leads_to: str) -> None:
    html = link_html([{"title": "Go", "url": url}], {"dashboard": "rq-jobs"}, {}, html="7")
    assert html.startswith(leads_to)
    assert html.endswith(">7</a>") is bool(leads_to)


def test_an_event_is_marked_where_it_starts() -> None:
    points = (
        (0.0, 0.0),
        (10.0, 1.0),
        (20.0, 3.0),
        (30.0, 0.0),
        (40.0, 1.0),
        (50.0, -1.0),
        (60.0, float("nan")),
    )
    marks = marks_of(Annotation("Event", "x", "red"), [Series({}, points)], step_seconds=10)
    assert [(mark.at, mark.name) for mark in marks] == [(10.0, "Event"), (40.0, "Event")]


@pytest.mark.parametrize(
    ("title_format", "names"),
    [
        ("{{alertname}}: {{ queue }}", ["Slow: a", "Late:"]),
        ("{{queue}}", ["a", "Event"]),
        ("", ["Event", "Event"]),
    ],
)
def test_an_annotation_is_titled_by_its_series(title_format: str, names: list[str]) -> None:
    item = {"name": "Event", "expr": "x", "enable": True, "titleFormat": title_format}
    data = {"uid": "u", "title": "T", "panels": [], "annotations": {"list": [item]}}
    [annotation] = parse_dashboard(data).annotations
    series = [
        Series({"alertname": "Slow", "queue": "a"}, ((10.0, 1.0),)),
        Series({"alertname": "Late"}, ((20.0, 1.0),)),
    ]
    assert [mark.name for mark in marks_of(annotation, series, step_seconds=10)] == names


def test_only_annotations_of_prometheus_that_are_on_are_asked() -> None:
    asked = {"name": "A", "expr": "x", "enable": True}
    items = [
        asked,
        {**asked, "enable": False},
        {**asked, "hide": True},
        {"name": "Grafana's", "enable": True},
    ]
    found = parse_dashboard({"uid": "u", "title": "T", "panels": [], "annotations": {"list": items}})
    assert found.annotations == (Annotation("A", "x", "red"),)
