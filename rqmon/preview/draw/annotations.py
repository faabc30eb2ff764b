"""Annotations: events as thin vertical lines on time series charts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rqmon.preview.draw.colors import css_color
from rqmon.preview.draw.frames import labels_in
from rqmon.preview.grafana.model import Annotation
from rqmon.preview.prometheus import Series

_MOST = 200


@dataclass(frozen=True)
class Mark:
    """One event: its time, in seconds since 1970, and its text."""

    at: float
    name: str
    color: str


def marks_of(annotation: Annotation, series: Iterable[Series], *, step_seconds: float) -> list[Mark]:
    """Return the starts of an annotation's events; as in Grafana, samples above 0 a step apart are one."""
    marks = []
    for one in series:
        name = labels_in(annotation.title_format, one.labels).strip() or annotation.name
        before = float("-inf")
        for at in (at for at, value in one.points if value > 0):
            if at - before > step_seconds * 1.5:
                marks.append(Mark(at, name, css_color(annotation.color)))
            before = at
    return sorted(marks, key=lambda mark: mark.at)[-_MOST:]


def add_lines(option: dict[str, Any], marks: Sequence[Mark]) -> None:
    """Draw the marks on a chart, as an extra series without points behind all others."""
    lines = [
        {"xAxis": mark.at * 1000, "lineStyle": {"color": mark.color, "width": 1, "type": "dashed"}}
        for mark in marks
    ]
    if lines:
        line = {"silent": True, "symbol": "none", "label": {"show": False}, "data": lines}
        option["series"].append({"type": "line", "name": "", "data": [], "markLine": line})


def told(marks: Sequence[Mark], range_seconds: float) -> dict[str, Any]:
    """Return the marks for preview.js's tooltip, which shows those within 1% of the range of the pointer."""
    return {"ms": range_seconds * 10, "marks": [[mark.at * 1000, mark.name, mark.color] for mark in marks]}
