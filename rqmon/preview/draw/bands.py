"""ECharts options for the panels made of rectangles: state timeline and heatmap."""

from collections.abc import Sequence
from typing import Any

from rqmon.preview.draw.charts import FONT, TEXT_DIM, base_option, number, script_json, tooltip_option
from rqmon.preview.draw.colors import scheme_color, with_alpha
from rqmon.preview.draw.frames import Frame
from rqmon.preview.draw.units import format_value
from rqmon.preview.grafana.model import Panel
from rqmon.preview.grafana.timerange import TimeRange


def _rectangles(rows: list[str], cells: list[list[Any]], *, gap: float, font: int) -> dict[str, Any]:
    """Return a custom series of [start ms, end ms, row, text, colour] cells on a category axis of `rows`."""
    return {
        "yAxis": {
            "type": "category",
            "data": rows,
            "inverse": True,
            "axisLine": {"show": False},
            "axisTick": {"show": False},
            "splitLine": {"show": False},
            "axisLabel": {
                "color": TEXT_DIM,
                "width": 150,
                "overflow": "truncate",
                "fontFamily": FONT,
                "hideOverlap": True,
            },
        },
        "series": [
            {
                "type": "custom",
                ":renderItem": f"rqmon.rectangle({gap}, {font})",
                "encode": {"x": [0, 1], "y": 2},
                "data": tuple(cells),  # a tuple: NiceGUI does not watch it for changes
                "clip": True,
            }
        ],
    }


def state_timeline_option(panel: Panel, frames: Sequence[Frame], time_range: TimeRange) -> dict[str, Any]:
    """One row per series; consecutive equal values are one band, as with `mergeValues`."""
    option = base_option(time_range)
    show_text = panel.options.get("showValue", "auto") != "never"
    cells: list[list[Any]] = []
    for row, frame in enumerate(frames):
        opacity = float(frame.field.custom.get("fillOpacity", 70)) / 100
        step = frame.times[1] - frame.times[0] if len(frame.times) > 1 else time_range.seconds / 100
        current: tuple[str, str] | None = None
        for at, value in zip(frame.times, frame.values, strict=True):
            shown = None if value is None else (frame.field.text(value), frame.field.color(value, index=row))
            if shown and shown == current:
                cells[-1][1] = (at + step) * 1000
            elif shown:
                text, color = shown
                start = max(at, time_range.start) * 1000
                cells.append([start, (at + step) * 1000, row, text, with_alpha(color, opacity)])
            current = shown
    option |= _rectangles([f.name for f in frames], cells, gap=0.1, font=12 if show_text else 0)
    option["tooltip"] = tooltip_option("rqmon.bandTooltip()", trigger="item")
    return option


def heatmap_option(panel: Panel, frames: Sequence[Frame], time_range: TimeRange) -> dict[str, Any]:
    """One row per bucket, the largest on top; `le` buckets are made non-cumulative, zeros left empty."""
    option = base_option(time_range)
    unit = str((panel.options.get("yAxis") or {}).get("unit") or panel.defaults.get("unit") or "short")
    ordered = sorted(frames, key=_bucket_bound)
    counts = [list(frame.values) for frame in ordered]
    if all("le" in frame.labels for frame in ordered):
        for upper in range(len(counts) - 1, 0, -1):
            below = counts[upper - 1]
            counts[upper] = [
                v if v is None else max(v - (b or 0), 0.0) for v, b in zip(counts[upper], below, strict=False)
            ]
    peak = max((v for row in counts for v in row if v is not None), default=0.0)
    scheme = str((panel.options.get("color") or {}).get("scheme") or "Oranges")
    step = ordered[0].times[1] - ordered[0].times[0] if len(ordered[0].times) > 1 else 60.0
    rows, cells = [], []
    for row, (frame, values) in enumerate(zip(reversed(ordered), reversed(counts), strict=True)):
        bound = _bucket_bound(frame)
        rows.append(format_value(bound, unit=unit) if "le" in frame.labels else frame.name)
        for at, value in zip(frame.times, values, strict=True):
            if value:
                text = format_value(number(value), unit="short")
                cells.append(
                    [(at - step) * 1000, at * 1000, row, text, scheme_color(scheme, (value / peak) ** 0.5)]
                )
    option |= _rectangles(rows, cells, gap=0.06, font=0)
    option["tooltip"] = tooltip_option(f"rqmon.bandTooltip({script_json('Count')})", trigger="item")
    return option


def _bucket_bound(frame: Frame) -> float:
    try:
        return float(frame.labels.get("le") or frame.name)
    except ValueError:
        return float("inf")
