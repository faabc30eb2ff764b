"""A series' field configuration: its overrides, and the text and colour of its values."""

import copy
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rqmon.preview.draw.colors import TEXT, css_color, gradient_color, palette_color
from rqmon.preview.draw.units import format_value
from rqmon.preview.grafana.model import Json, Override


@dataclass(frozen=True)
class Field:
    """How one series' values are written and coloured; thresholds ascend, the first is -inf."""

    unit: str
    decimals: int | None
    min: float | None
    max: float | None
    thresholds: tuple[tuple[float, str], ...]
    thresholds_percentage: bool
    color_mode: str
    fixed_color: str
    mappings: tuple[Json, ...]
    custom: Mapping[str, Any]
    display_name: str
    no_value: str
    links: tuple[Json, ...]

    def text(self, value: float | None) -> str:
        """Return the value as shown: a mapping's text, or the number with its unit."""
        mapped = self._mapped(value).get("text")
        if mapped:
            return str(mapped)
        if value is None:
            return self.no_value or "No data"
        return format_value(value, unit=self.unit, decimals=self.decimals)

    def color(self, value: float | None, *, index: int = 0) -> str:
        """Return the CSS colour of a value; `index` is the series' position, for the classic palette."""
        mapped = self._mapped(value).get("color")
        if mapped:
            return css_color(str(mapped))
        if self.color_mode == "fixed":
            return css_color(self.fixed_color)
        if self.color_mode.startswith("palette") or self.color_mode == "shades":
            return palette_color(index)
        if value is None:
            return TEXT
        if self.color_mode.startswith("continuous"):
            return gradient_color(self.color_mode, self.share(value))
        return css_color(self.threshold_color(value))

    def threshold_color(self, value: float) -> str:
        """Return the colour name of the highest threshold that the value reaches."""
        reached = [color for at, color in self.absolute_thresholds() if value >= at]
        return reached[-1] if reached else "text"

    def absolute_thresholds(self) -> list[tuple[float, str]]:
        """Return the thresholds in the value's unit."""
        if not self.thresholds_percentage:
            return list(self.thresholds)
        low, high = self.bounds()
        return [(at if math.isinf(at) else low + (high - low) * at / 100, c) for at, c in self.thresholds]

    def bounds(self, values: Sequence[float] = ()) -> tuple[float, float]:
        """Return the ends of a gauge: min and max if given, else a percentage's, else the values'."""
        natural = {"percent": 100.0, "percentunit": 1.0}.get(self.unit)
        low = self.min if self.min is not None else min([0.0, *values])
        high = self.max if self.max is not None else natural
        if high is None:
            top = max(values, default=100.0)
            high = top if top > low else low + 100.0
        return low, high

    def share(self, value: float, values: Sequence[float] = ()) -> float:
        """Return the value's position between the bounds, 0 to 1."""
        low, high = self.bounds(values)
        return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.0

    def _mapped(self, value: float | None) -> Json:
        for mapping in self.mappings:
            options = mapping.get("options") or {}
            found = _match_mapping(str(mapping.get("type")), options, value)
            if found is not None:
                return found
        return {}


def _match_mapping(kind: str, options: Json, value: float | None) -> Json | None:
    result: Json = options.get("result") or {}
    unknown = value is None or math.isnan(value)
    if kind == "special":
        null = unknown and options.get("match") in ("null", "null+nan", "nan")
        return result if null else None
    if value is None or unknown:
        return None
    text = str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:g}"
    if kind == "value":
        found: Json | None = options.get(text)
        return found
    if kind == "range":
        low, high = options.get("from"), options.get("to")
        inside = (low is None or value >= low) and (high is None or value <= high)
        return result if inside else None
    if kind == "regex" and re.search(_pattern(str(options.get("pattern") or "")), text):
        return result
    return None


def _pattern(text: str) -> str:
    """Convert a JavaScript regex, `/x/` or `x`, to a Python one; an invalid one matches nothing."""
    stripped = re.sub(r"^/(.*)/[gimsuy]*$", r"\1", text)
    try:
        re.compile(stripped)
    except re.error:
        return r"(?!)"
    return stripped


def parse_field(data: Json) -> Field:
    """Read one `fieldConfig.defaults` with overrides already applied."""
    thresholds = data.get("thresholds") or {}
    steps = [(s.get("value"), str(s.get("color"))) for s in thresholds.get("steps") or [{"color": "green"}]]
    color = data.get("color") or {}
    decimals = data.get("decimals")
    return Field(
        unit=str(data.get("unit") or "short"),
        decimals=None if decimals is None else min(max(int(decimals), 0), 10),
        min=data.get("min"),
        max=data.get("max"),
        # Grafana uses the first step as the base, whatever its value in the JSON.
        thresholds=tuple(
            (float(at) if i and at is not None else -math.inf, c) for i, (at, c) in enumerate(steps)
        ),
        thresholds_percentage=thresholds.get("mode") == "percentage",
        color_mode=str(color.get("mode") or "thresholds"),
        fixed_color=str(color.get("fixedColor") or "text"),
        mappings=tuple(data.get("mappings") or ()),
        custom=data.get("custom") or {},
        display_name=str(data.get("displayName") or ""),
        no_value=str(data.get("noValue") or ""),
        links=tuple(data.get("links") or ()),
    )


def field_for(
    name: str,
    *,
    ref_id: str,
    defaults: Json,
    overrides: Sequence[Override],
    known: dict[tuple[int, ...], Field] | None = None,
) -> Field:
    """Return the configuration of the series `name`: the defaults, then every matching override.

    `known` caches results by defaults and overrides: most series match the same overrides.
    """
    known = {} if known is None else known
    matching = tuple(i for i, one in enumerate(overrides) if _matches(one, name=name, ref_id=ref_id))
    if matching not in known:
        merged: dict[str, Any] = copy.deepcopy(dict(defaults))
        for i in matching:
            for path, value in overrides[i].properties:
                *parents, last = path.split(".")
                place = merged
                for parent in parents:
                    place = place.setdefault(parent, {})
                place[last] = value
        known[matching] = parse_field(merged)
    return known[matching]


def _matches(override: Override, *, name: str, ref_id: str) -> bool:
    if override.matcher == "byName":
        return bool(override.options == name)
    if override.matcher == "byRegexp":
        return re.search(_pattern(str(override.options)), name) is not None
    if override.matcher == "byFrameRefID":
        return bool(override.options == ref_id)
    return False
