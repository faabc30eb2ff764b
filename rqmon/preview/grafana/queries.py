"""The queries of panels and annotations: PromQL with the variables filled in, a range and a step."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rqmon.preview.grafana.model import Annotation, Panel, Target
from rqmon.preview.grafana.timerange import TimeRange, duration_seconds, step_seconds
from rqmon.preview.grafana.variables import Value, built_in, interpolate


@dataclass(frozen=True)
class Query:
    """One Prometheus query; equal ones are sent once per refresh. `step_seconds` is 0 for instant ones."""

    expr: str
    start: float
    end: float
    step_seconds: float

    @property
    def times(self) -> tuple[float, ...]:
        """Return the times of a range query's samples; empty for an instant query."""
        if not self.step_seconds:
            return ()
        count = int((self.end - self.start) / self.step_seconds + 1e-6) + 1
        return tuple(self.start + i * self.step_seconds for i in range(count))


def plan(
    panel: Panel, time_range: TimeRange, values: Mapping[str, Value], *, scrape_interval_seconds: float
) -> list[tuple[Target, Query]]:
    """Return a panel's queries; range queries get 60 to 300 points, aligned to their step.

    Instant queries ask for the end of the range, or for now if the end is in the future (`now/d`).
    """
    until_now = replace(time_range, end=min(time_range.end, max(time.time(), time_range.start)))
    points = 60 if panel.type == "heatmap" else 300 if panel.w >= 12 else 220
    stacking = (panel.defaults.get("custom") or {}).get("stacking") or {}
    if stacking.get("mode") not in (None, "none"):
        # ECharts skips points less than 2 pixels apart, and skips different ones on an area's upper edge and
        # on the lower edge of the area above, which then shows where it is zero.
        points = 120
    planned = []
    for target in panel.targets:
        at_least = duration_seconds(interpolate(target.min_step, values)) or scrape_interval_seconds
        step = step_seconds(time_range.seconds, points=points, min_step_seconds=at_least)
        asked = until_now if target.instant else time_range
        known = {
            **values,
            **built_in(asked, step_seconds=step, scrape_interval_seconds=scrape_interval_seconds),
        }
        expr = interpolate(target.expr, known)
        if target.instant:
            planned.append((target, Query(expr, asked.end, asked.end, 0)))
        else:
            start, end = (moment // step * step for moment in (time_range.start, time_range.end))
            planned.append((target, Query(expr, start, end, step)))
    return planned


def plan_annotation(
    annotation: Annotation, time_range: TimeRange, values: Mapping[str, Value], scrape_interval_seconds: float
) -> Query:
    """Return an annotation's query, with up to 300 points."""
    step = step_seconds(time_range.seconds, points=300, min_step_seconds=scrape_interval_seconds)
    known = built_in(time_range, step_seconds=step, scrape_interval_seconds=scrape_interval_seconds)
    expr = interpolate(annotation.expr, {**values, **known})
    return Query(expr, time_range.start // step * step, time_range.end // step * step, step)
