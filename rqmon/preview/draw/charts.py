"""ECharts options for the time series panel."""

import json
import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from rqmon.preview.draw.annotations import Mark, add_lines, told
from rqmon.preview.draw.colors import css_color, with_alpha
from rqmon.preview.draw.fields import Field
from rqmon.preview.draw.frames import Frame
from rqmon.preview.draw.units import scale_of
from rqmon.preview.grafana.model import Panel
from rqmon.preview.grafana.timerange import TimeRange

FONT = "Roboto, Helvetica, Arial, sans-serif"
LINE = "rgba(204, 204, 220, 0.09)"
TEXT_DIM = "rgba(204, 204, 220, 0.65)"


def base_option(time_range: TimeRange) -> dict[str, Any]:
    """Return the options shared by all charts with a time axis: fonts, margins, axis, no animation."""
    return {
        "animation": False,
        "backgroundColor": "transparent",
        "textStyle": {"fontFamily": FONT, "fontSize": 12, "color": TEXT_DIM},
        "grid": {"left": 8, "right": 24, "top": 10, "bottom": 4, "containLabel": True},
        "xAxis": {
            "type": "time",
            "min": time_range.start * 1000,
            "max": time_range.end * 1000,
            "splitNumber": 6,
            "axisLine": {"show": False},
            "axisTick": {"show": True, "lineStyle": {"color": LINE}, "length": 4},
            "axisLabel": {
                "color": TEXT_DIM,
                "hideOverlap": True,
                "showMinLabel": False,
                "showMaxLabel": False,
                ":formatter": f"rqmon.timeLabel({time_range.seconds:.0f})",
            },
            "splitLine": {"show": True, "lineStyle": {"color": LINE}},
            "axisPointer": {"lineStyle": {"color": "rgba(204, 204, 220, 0.4)", "type": "dashed"}},
        },
    }


def timeseries_option(
    panel: Panel, frames: Sequence[Frame], time_range: TimeRange, marks: Sequence[Mark]
) -> dict[str, Any]:
    """Lines, areas, bars or points over time, with one y axis per unit (two at most)."""
    option = base_option(time_range)
    axes: list[tuple[str, str]] = []
    for frame in frames:
        key = (frame.field.unit, str(frame.field.custom.get("axisPlacement") or "auto"))
        if key not in axes and len(axes) < 2:
            axes.append(key)
    option["yAxis"] = [
        _y_axis(next(f.field for f in frames if f.field.unit == unit), right=placement == "right" or i > 0)
        for i, (unit, placement) in enumerate(axes)
    ]
    units = [unit for unit, _ in axes]
    option["series"] = [
        _line(frame, axis=units.index(frame.field.unit) if frame.field.unit in units else 0, values=values)
        for frame, values in zip(frames, _stacked(frames), strict=True)
    ]
    if option["series"]:
        _add_thresholds(option["series"][0], frames[0].field)
    option["legend"] = {"show": False, "data": [frame.name for frame in frames]}
    tooltip = panel.options.get("tooltip") or {}
    specs = [scale_of(frame.field.unit).to_json(frame.field.decimals) for frame in frames]
    add_lines(option, marks)
    arguments = (specs, str(tooltip.get("sort") or "none"), told(marks, time_range.seconds))
    option["tooltip"] = tooltip_option(f"rqmon.tooltip({', '.join(map(script_json, arguments))})")
    option["tooltip"]["show"] = tooltip.get("mode") != "none"
    return option


def tooltip_option(formatter: str, trigger: str = "axis") -> dict[str, Any]:
    """A tooltip that looks like Grafana's; `formatter` is a call in preview.js, never text from data."""
    return {
        "trigger": trigger,
        "confine": True,
        "transitionDuration": 0,
        "backgroundColor": "#22252b",
        "borderColor": "rgba(204, 204, 220, 0.2)",
        "padding": 0,
        "extraCssText": "border-radius: 4px; box-shadow: 0 8px 24px #010409; z-index: 50;",
        "textStyle": {"color": "#ccccdc", "fontSize": 12, "fontFamily": FONT},
        "axisPointer": {"type": "line"},
        ":formatter": formatter,
    }


def script_json(value: object) -> str:
    """JSON that is also safe inside a script: no `<`, no line separators."""
    return json.dumps(value).replace("<", "\\u003c")


def _y_axis(field: Field, *, right: bool) -> dict[str, Any]:
    spec = scale_of(field.unit).to_json(field.decimals)
    soft_max = field.custom.get("axisSoftMax")
    axis: dict[str, Any] = {
        "type": "log" if (field.custom.get("scaleDistribution") or {}).get("type") == "log" else "value",
        "position": "right" if right else "left",
        "name": field.custom.get("axisLabel") or "",
        "nameLocation": "middle",
        "nameGap": 44,
        "splitNumber": 4,
        "axisLine": {"show": False},
        "axisTick": {"show": False},
        "axisLabel": {"color": TEXT_DIM, ":formatter": f"rqmon.axisLabel({script_json(spec)})"},
        "splitLine": {"show": not right, "lineStyle": {"color": LINE}},
    }
    if field.min is not None:
        axis["min"] = field.min
    if field.max is not None:
        axis["max"] = field.max
    elif soft_max is not None:
        axis[":max"] = f"(range) => Math.max(range.max, {float(soft_max)})"
    if field.min is not None and field.max is not None and axis["type"] == "value":
        axis["interval"] = (field.max - field.min) / 4
    if field.decimals == 0 and field.unit in ("short", "none", "locale"):
        axis["minInterval"] = 1
    return axis


def _line(frame: Frame, *, axis: int, values: Sequence[float | None]) -> dict[str, Any]:
    custom = frame.field.custom
    style = custom.get("drawStyle") or "line"
    known = sum(value is not None for value in values)
    points = custom.get("showPoints") or "auto"
    opacity = float(custom.get("fillOpacity") or 0) / 100
    dash = (custom.get("lineStyle") or {}).get("fill") == "dash"
    series: dict[str, Any] = {
        "type": "bar" if style == "bars" else "line",
        "name": frame.name,
        "yAxisIndex": axis,
        "color": frame.color,
        # A tuple: NiceGUI watches each list for changes, which takes a tenth of the page's time.
        "data": tuple([t * 1000, number(value)] for t, value in zip(frame.times, values, strict=True)),
        "emphasis": {"disabled": True},
    }
    if _stack_of(frame):
        series["stack"] = _stack_of(frame)
    if style == "bars":
        series["itemStyle"] = {"color": with_alpha(frame.color, max(opacity, 0.3))}
        return series
    series |= {
        "showSymbol": points == "always" or style == "points" or known <= 2,
        "symbol": "circle",
        "symbolSize": float(custom.get("pointSize") or 5),
        "connectNulls": bool(custom.get("spanNulls")),
        "lineStyle": {
            "width": 0 if style == "points" else float(custom.get("lineWidth", 1)),
            "type": "dashed" if dash else "solid",
        },
    }
    interpolation = custom.get("lineInterpolation")
    if interpolation == "smooth":
        series |= {"smooth": 0.35, "smoothMonotone": "x"}
    elif interpolation in ("stepBefore", "stepAfter"):
        series["step"] = "start" if interpolation == "stepBefore" else "end"
    if opacity:
        series["areaStyle"] = {"opacity": 1, "color": _fill(frame.color, opacity, custom.get("gradientMode"))}
    return series


def _fill(color: str, opacity: float, gradient: object) -> Any:
    if gradient in (None, "none"):
        return with_alpha(color, opacity)
    ends = ((0, opacity), (1, opacity * 0.1))
    stops = [{"offset": at, "color": with_alpha(color, alpha)} for at, alpha in ends]
    return {"type": "linear", "x": 0, "y": 0, "x2": 0, "y2": 1, "colorStops": stops}


def number(value: float | None) -> float | None:
    """Return a value for a chart: seven significant digits, None if it can't be drawn."""
    return float(f"{value:.7g}") if value is not None and math.isfinite(value) else None


def _stacked(frames: Sequence[Frame]) -> list[Sequence[float | None]]:
    """Return each frame's values to stack: 0 where only others have samples; shares for 100% stacks."""
    stacks: dict[str, list[Frame]] = {}
    for frame in frames:
        stacks.setdefault(_stack_of(frame), []).append(frame)
    return [
        frame.values
        if not _stack_of(frame)
        else [
            None if total is None else (value or 0.0) / (total or 1.0 if _is_percent(frame) else 1.0)
            for value, total in zip(frame.values, _totals(stacks[_stack_of(frame)]), strict=False)
        ]
        for frame in frames
    ]


def _stack_of(frame: Frame) -> str:
    """Return the name of a frame's stack; empty if it is not stacked."""
    stacking = frame.field.custom.get("stacking") or {}
    if stacking.get("mode") not in ("normal", "percent"):
        return ""
    return f"{frame.field.unit} {stacking.get('group') or 'A'}"


def _is_percent(frame: Frame) -> bool:
    return bool(frame.field.custom["stacking"]["mode"] == "percent")


def _totals(frames: Sequence[Frame]) -> list[float | None]:
    """Return the sum at each time; None where no frame has a sample. Instant answers may differ in length."""
    columns = list(zip_longest(*(frame.values for frame in frames)))
    return [
        sum(abs(v or 0.0) for v in column) if any(v is not None for v in column) else None
        for column in columns
    ]


def _add_thresholds(series: dict[str, Any], field: Field) -> None:
    mode = str((field.custom.get("thresholdsStyle") or {}).get("mode") or "off")
    steps = [(at, css_color(color)) for at, color in field.absolute_thresholds()]
    if "line" in mode or mode == "dashed":
        series["markLine"] = {
            "silent": True,
            "symbol": "none",
            "label": {"show": False},
            "data": [
                {
                    "yAxis": at,
                    "lineStyle": {"color": color, "type": "dashed" if "dashed" in mode else "solid"},
                }
                for at, color in steps
                if math.isfinite(at)
            ],
        }
    if "area" in mode:
        ends = [at for at, _ in steps[1:]] + [None]
        series["markArea"] = {
            "silent": True,
            "data": [
                [
                    {
                        "yAxis": at if math.isfinite(at) else "min",
                        "itemStyle": {"color": with_alpha(color, 0.1)},
                    },
                    {"yAxis": "max" if end is None else end},
                ]
                for (at, color), end in zip(steps, ends, strict=True)
            ],
        }
