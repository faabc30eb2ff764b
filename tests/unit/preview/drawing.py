"""Panels from JSON and Prometheus answers, for the drawing tests."""

from typing import Any

from rqmon.preview.draw.frames import Answer
from rqmon.preview.draw.views import view
from rqmon.preview.grafana.model import Panel, parse_dashboard
from rqmon.preview.grafana.timerange import TimeRange
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
