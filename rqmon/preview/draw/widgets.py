"""HTML of the panels that show single numbers: stat, gauge and bar gauge."""

import math
from collections.abc import Sequence
from html import escape

from rqmon.preview.draw.colors import TEXT, css_color, mix
from rqmon.preview.draw.frames import Frame, reduce
from rqmon.preview.grafana.model import Panel


def _calc(panel: Panel) -> str:
    calcs = (panel.options.get("reduceOptions") or {}).get("calcs") or ["lastNotNull"]
    return str(calcs[0])


def stat_html(panel: Panel, frames: Sequence[Frame]) -> str:
    """One tile per series: a big coloured number over a sparkline, with names if there are several."""
    mode = panel.options.get("textMode", "auto")
    graph = panel.options.get("graphMode", "area") == "area"
    color_mode = panel.options.get("colorMode", "value")
    named = mode in ("name", "value_and_name") or (mode == "auto" and len(frames) > 1)
    tiles = []
    for frame in frames:
        value = reduce(frame.values, _calc(panel))
        color = frame.field.color(value, index=frame.index)
        text, unit = _split_unit(frame.field.text(value))
        filled = str(color_mode).startswith("background") and color not in (TEXT, "transparent")
        style = f"background: linear-gradient(120deg, {color}, {_darker(color)});" if filled else ""
        ink = "#ffffff" if filled else TEXT if color_mode == "none" else color
        name = f'<span class="tile-name">{escape(frame.name)}</span>' if named else ""
        size = _text_size(text + unit)
        number = (
            f'<span class="tile-value" style="color: {ink}; --chars: {size}">{escape(text)}'
            f'<span class="tile-unit">{escape(unit)}</span></span>'
        )
        if mode == "name":
            number = ""
        line = _sparkline(frame, "#ffffff" if filled else color) if graph else ""
        kind = "tile graph" if line else "tile"
        tiles.append(
            f'<div class="{kind}" style="{style}">{line}<div class="tile-text">{name}{number}</div></div>'
        )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _darker(color: str) -> str:
    return mix((color, "#000000"), 0.25) if color.startswith("#") and len(color) == 7 else color


def _text_size(text: str) -> str:
    """Return the width of a text in characters, for the CSS that makes it fill its tile."""
    return f"{max(len(text), 3) * 0.62 + 0.3:.2f}"


def _split_unit(text: str) -> tuple[str, str]:
    """Split `12.3 req/s` into number and unit, so that the unit can be smaller; other texts stay whole."""
    digits = len(text) - len(text.lstrip("-0123456789.,"))
    rest = text[digits:]
    return (text[:digits], rest) if digits and not any(c.isdigit() for c in rest) else (text, "")


def _sparkline(frame: Frame, color: str) -> str:
    """An SVG of the series over the range; empty if there are too few points for a line."""
    known = [(i, v) for i, v in enumerate(frame.values) if v is not None and math.isfinite(v)]
    if len(known) < 2:
        return ""
    low = min(0.0 if frame.field.min is None else frame.field.min, *(v for _, v in known))
    high = max(v for _, v in known)
    span, last = high - low or 1.0, len(frame.values) - 1
    points = [f"{i / last * 100:.2f},{29 - (v - low) / span * 27:.2f}" for i, v in known]
    first, final = known[0][0] / last * 100, known[-1][0] / last * 100
    area = f"{first:.2f},30 {' '.join(points)} {final:.2f},30"
    return (
        f'<svg class="sparkline" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">'
        f'<polygon points="{area}" fill="{color}" fill-opacity="0.16"></polygon>'
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="1" '
        f'stroke-opacity="0.75" vector-effect="non-scaling-stroke"></polyline></svg>'
    )


def gauge_html(panel: Panel, frames: Sequence[Frame]) -> str:
    """One arc per series, with the thresholds around it and the number inside."""
    dials = []
    for frame in frames:
        value = reduce(frame.values, _calc(panel))
        field = frame.field
        color = field.color(value, index=frame.index)
        share = 0.0 if value is None else field.share(value)
        arcs = [_arc(0, 1, radius=80, width=22, color="rgba(204,204,220,0.1)")]
        arcs.append(_arc(0, share, radius=80, width=22, color=color))
        if panel.options.get("showThresholdMarkers", True):
            steps = [
                (field.share(at) if math.isfinite(at) else 0.0, c) for at, c in field.absolute_thresholds()
            ]
            ends = [at for at, _ in steps[1:]] + [1.0]
            arcs += [
                _arc(start, end, radius=96, width=5, color=css_color(c))
                for (start, c), end in zip(steps, ends, strict=True)
            ]
        text = field.text(value)
        named = len(frames) > 1 or panel.options.get("textMode") == "value_and_name"
        name = f'<div class="dial-name">{escape(frame.name)}</div>' if named else ""
        dials.append(
            f'<div class="dial"><svg viewBox="0 0 208 146" role="img" aria-label="{escape(frame.name)}: '
            f'{escape(text)}">{"".join(arcs)}<text x="104" y="116" text-anchor="middle" fill="{color}" '
            f'font-size="{min(40, 190 / max(len(text), 1)):.0f}" font-weight="500">{escape(text)}</text>'
            f"</svg>{name}</div>"
        )
    return f'<div class="dials">{"".join(dials)}</div>'


def _arc(start: float, end: float, *, radius: float, width: float, color: str) -> str:
    """A segment (from share to share) of a dial of 220 degrees around (104, 104)."""
    if end - start <= 0.001:
        return ""

    def point(share: float) -> str:
        angle = math.radians(200 - 220 * share)
        return f"{104 + radius * math.cos(angle):.2f} {104 - radius * math.sin(angle):.2f}"

    large = int((end - start) * 220 > 180)
    path = f"M {point(start)} A {radius} {radius} 0 {large} 1 {point(end)}"
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width}"></path>'


def bar_gauge_html(panel: Panel, frames: Sequence[Frame]) -> str:
    """One horizontal bar per series, all on one scale if the field has no maximum."""
    mode = panel.options.get("displayMode", "gradient")
    values = [reduce(frame.values, _calc(panel)) for frame in frames]
    known = [value for value in values if value is not None]
    rows = []
    for frame, value in zip(frames, values, strict=True):
        color = frame.field.color(value, index=frame.index)
        share = 0.0 if value is None else frame.field.share(value, known)
        fill = f"linear-gradient(90deg, {_darker(color)}55, {color})" if mode == "gradient" else color
        if mode == "lcd":
            fill = f"repeating-linear-gradient(90deg, {color} 0 6px, transparent 6px 8px)"
        rows.append(
            f'<div class="bar-row"><span class="bar-name" title="{escape(frame.name)}">'
            f"{escape(frame.name)}</span>"
            f'<span class="bar-track"><span class="bar-fill" style="width: {share * 100:.2f}%; '
            f'background: {fill}; border-color: {color}"></span></span>'
            f'<span class="bar-value" style="color: {color}">{escape(frame.field.text(value))}</span></div>'
        )
    return f'<div class="bars">{"".join(rows)}</div>'
