"""Plans a panel's queries and turns their answers into what the page shows: options, HTML or a message."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rqmon.preview.draw.annotations import Mark
from rqmon.preview.draw.bands import heatmap_option, state_timeline_option
from rqmon.preview.draw.charts import timeseries_option
from rqmon.preview.draw.frames import Answer, frames_of
from rqmon.preview.draw.tables import legend_html, state_legend_html, table_html
from rqmon.preview.draw.widgets import bar_gauge_html, gauge_html, stat_html
from rqmon.preview.grafana.model import Annotation, Panel, Target
from rqmon.preview.grafana.timerange import TimeRange, duration_seconds, step_seconds
from rqmon.preview.grafana.variables import Value, built_in, interpolate

CHARTS = ("timeseries", "state-timeline", "heatmap", "barchart", "graph")
MOST_SERIES = 100
MOST_ROWS = 200
# Panels that show what is now, not what was.
NOW = ("stat", "gauge", "bargauge", "table")
WIDGETS = {"stat": stat_html, "gauge": gauge_html, "bargauge": bar_gauge_html}


@dataclass(frozen=True)
class Query:
    """One question to Prometheus; equal ones are asked once a refresh. `step_seconds` is 0 when instant."""

    expr: str
    start: float
    end: float
    step_seconds: float

    @property
    def times(self) -> tuple[float, ...]:
        """The grid that a range query answers on; empty when instant."""
        if not self.step_seconds:
            return ()
        count = int((self.end - self.start) / self.step_seconds + 1e-6) + 1
        return tuple(self.start + i * self.step_seconds for i in range(count))


@dataclass(frozen=True)
class View:
    """What a panel shows now: a chart with its legend, or HTML, or one line of message.

    `cut` says how much of it is shown when that is not all.
    """

    option: dict[str, Any] | None = None
    html: str = ""
    legend: str = ""
    cut: str = ""
    message: str = ""
    is_error: bool = False


def plan(
    panel: Panel, time_range: TimeRange, values: Mapping[str, Value], *, scrape_interval_seconds: float
) -> list[tuple[Target, Query]]:
    """The queries of a panel; range queries get 60 to 300 points, aligned to their step.

    Instant ones ask for the end of the range, or for now where that is yet to come (`now/d`).
    """
    until_now = replace(time_range, end=min(time_range.end, max(time.time(), time_range.start)))
    points = 60 if panel.type == "heatmap" else 300 if panel.w >= 12 else 220
    stacking = (panel.defaults.get("custom") or {}).get("stacking") or {}
    if stacking.get("mode") not in (None, "none"):
        # ECharts skips points less than 2 pixels apart, others on an area's upper edge than on the lower edge
        # of the one above: that one is then seen where it is zero.
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
    """The query of an annotation, in up to 300 points."""
    step = step_seconds(time_range.seconds, points=300, min_step_seconds=scrape_interval_seconds)
    known = built_in(time_range, step_seconds=step, scrape_interval_seconds=scrape_interval_seconds)
    expr = interpolate(annotation.expr, {**values, **known})
    return Query(expr, time_range.start // step * step, time_range.end // step * step, step)


def view(
    panel: Panel,
    answers: Sequence[Answer],
    time_range: TimeRange,
    values: Mapping[str, Value],
    marks: Sequence[Mark] = (),
) -> View:
    """What a panel shows for its answers, and on a chart over time for what happened meanwhile."""
    if not any(answer.series for answer in answers):
        return View(message=str(panel.defaults.get("noValue") or "No data"))
    if panel.type == "table":
        html, count = table_html(panel, answers, values, most=MOST_ROWS)
        sorted_by = "first" if panel.options.get("sortBy") else "largest"
        return View(html=html, cut=_cut(MOST_ROWS, count, f"{sorted_by} rows"))
    if panel.type == "heatmap":  # all of its series: each is the difference to the one before
        return View(option=heatmap_option(panel, frames_of(panel, answers, values)[0], time_range))
    frames, count = frames_of(panel, answers, values, most=MOST_SERIES)
    cut = _cut(MOST_SERIES, count, "largest series")
    if panel.type in WIDGETS:
        return View(html=WIDGETS[panel.type](panel, frames), cut=cut)
    if panel.type == "state-timeline":
        option = state_timeline_option(panel, frames, time_range)
        return View(option=option, legend=state_legend_html(frames), cut=cut)
    if panel.type in CHARTS:
        option = timeseries_option(panel, frames, time_range, marks)
        return View(option=option, legend=legend_html(panel, frames, values), cut=cut)
    return View(message=f"The preview does not draw {panel.type} panels; Grafana does.")


def _cut(most: int, count: int, what: str) -> str:
    return f"The {most} {what} of {count:,}" if count > most else ""
