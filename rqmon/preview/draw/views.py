"""What a panel shows for Prometheus's answers: a chart, HTML or a message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rqmon.preview.draw.annotations import Mark
from rqmon.preview.draw.bands import heatmap_option, state_timeline_option
from rqmon.preview.draw.charts import timeseries_option
from rqmon.preview.draw.frames import Answer, frames_of
from rqmon.preview.draw.tables import legend_html, state_legend_html, table_html
from rqmon.preview.draw.widgets import bar_gauge_html, gauge_html, stat_html
from rqmon.preview.grafana.links import link_html
from rqmon.preview.grafana.model import Panel, Target
from rqmon.preview.grafana.queries import Query
from rqmon.preview.grafana.timerange import TimeRange
from rqmon.preview.grafana.variables import Value
from rqmon.preview.prometheus import QueryError, Series

CHARTS = ("timeseries", "state-timeline", "heatmap", "barchart", "graph")
MOST_SERIES = 100
MOST_ROWS = 200
# Panels that show the present, not the past.
NOW = ("stat", "gauge", "bargauge", "table")
WIDGETS = {"stat": stat_html, "gauge": gauge_html, "bargauge": bar_gauge_html}


@dataclass(frozen=True)
class View:
    """What a panel shows now: a chart with its legend, HTML, or a one-line message.

    `cut` says how much is shown if that is not everything.
    """

    option: dict[str, Any] | None = None
    html: str = ""
    legend: str = ""
    cut: str = ""
    message: str = ""
    is_error: bool = False


def view_or_error(
    panel: Panel,
    results: Sequence[tuple[Target, Query, list[Series] | QueryError]],
    time_range: TimeRange,
    values: Mapping[str, Value],
    marks: Sequence[Mark],
) -> View:
    """Return what a panel shows for its answers, or the error of one of its queries."""
    answers = []
    for target, query, result in results:
        if isinstance(result, QueryError):
            return View(message=str(result), is_error=True)
        answers.append(Answer(target, result, query.times))
    try:
        return view(panel, answers, time_range, values, marks)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # One faulty panel must not spoil the others.
        return View(message=f"The preview can't draw this panel's JSON ({error}).", is_error=True)


def view(
    panel: Panel,
    answers: Sequence[Answer],
    time_range: TimeRange,
    values: Mapping[str, Value],
    marks: Sequence[Mark] = (),
) -> View:
    """Return what a panel shows for its answers; charts over time also show the annotations' events."""
    if not any(answer.series for answer in answers):
        return View(message=str(panel.defaults.get("noValue") or "No data"))
    if panel.type == "table":
        html, count = table_html(panel, answers, values, most=MOST_ROWS)
        sorted_by = "first" if panel.options.get("sortBy") else "largest"
        cut = f"The {MOST_ROWS} {sorted_by} rows of {count:,}" if count > MOST_ROWS else ""
        return View(html=html, cut=cut)
    if panel.type == "heatmap":  # needs all its series: each is the difference from the one before
        return View(option=heatmap_option(panel, frames_of(panel, answers, values)[0], time_range))
    frames, count = frames_of(panel, answers, values, most=MOST_SERIES)
    cut = f"{MOST_SERIES} of {count:,} series, by last value" if count > MOST_SERIES else ""
    if panel.type in WIDGETS:
        html = WIDGETS[panel.type](panel, frames)
        labels = frames[0].labels if frames else {}
        linked = link_html(panel.defaults.get("links") or (), labels, values, html=html)
        return View(html=linked or html, cut=cut)
    if panel.type == "state-timeline":
        option = state_timeline_option(panel, frames, time_range)
        return View(option=option, legend=state_legend_html(frames), cut=cut)
    if panel.type in CHARTS:
        option = timeseries_option(panel, frames, time_range, marks)
        return View(option=option, legend=legend_html(panel, frames, values), cut=cut)
    return View(message=f"The preview does not draw {panel.type} panels; Grafana does.")
