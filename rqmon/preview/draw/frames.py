"""Turns series into frames: named, configured, on one time grid; and reduces them to single numbers."""

import heapq
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rqmon.preview.draw.fields import Field, field_for
from rqmon.preview.grafana.model import Panel, Target
from rqmon.preview.grafana.variables import Value, interpolate
from rqmon.preview.prometheus import Series

Values = tuple[float | None, ...]


@dataclass(frozen=True)
class Frame:
    """One series as a panel shows it; `values` has None where there is no sample."""

    name: str
    labels: Mapping[str, str]
    field: Field
    index: int
    ref_id: str
    times: tuple[float, ...]
    values: Values

    @property
    def color(self) -> str:
        """The CSS colour of the whole series; if thresholds decide, that of its last value."""
        return self.field.color(reduce(self.values, "lastNotNull"), index=self.index)


@dataclass(frozen=True)
class Answer:
    """The answer to one target: its series, or why there are none."""

    target: Target
    series: Sequence[Series]
    times: tuple[float, ...]


def frames_of(
    panel: Panel, answers: Sequence[Answer], values: Mapping[str, Value], *, most: int = sys.maxsize
) -> tuple[list[Frame], int]:
    """Return a panel's frames, in the order of its targets, and how many there are in total.

    Hidden series (`custom.hideFrom.viz`) are left out; beyond `most`, those with the least last values too.
    """
    shown: list[tuple[Answer, Series, str, Field]] = []
    fields: dict[tuple[int, ...], Field] = {}
    for answer in answers:
        for series in answer.series:
            name = series_name(answer, series, values)
            field = field_for(
                name,
                ref_id=answer.target.ref_id,
                defaults=panel.defaults,
                overrides=panel.overrides,
                known=fields,
            )
            if not (field.custom.get("hideFrom") or {}).get("viz"):
                shown.append((answer, series, name, field))
    kept = shown
    if len(shown) > most:
        largest = heapq.nlargest(most, range(len(shown)), key=lambda place: _size(shown[place][1]))
        kept = [shown[place] for place in sorted(largest)]
    frames: list[Frame] = []
    for answer, series, name, field in kept:
        if field.display_name:
            name = interpolate(labels_in(field.display_name, series.labels), values, style="text")
        found = {round(t, 3): None if math.isnan(v) else v for t, v in series.points}
        times = answer.times or tuple(found)
        gridded = tuple(found.get(round(t, 3)) for t in times)
        frames.append(Frame(name, series.labels, field, len(frames), answer.target.ref_id, times, gridded))
    return frames, len(shown)


def _size(series: Series) -> tuple[float, float]:
    """The last value; of series that are alike by it, such as counts in steps, the total decides."""
    known = [value for _, value in series.points if not math.isnan(value)]
    return (known[-1], math.fsum(known)) if known else (-math.inf, 0.0)


def series_name(answer: Answer, series: Series, values: Mapping[str, Value]) -> str:
    """Return a series' legend: the target's format with `{{label}}` filled in, or what tells it apart."""
    template = answer.target.legend_format
    if template and template != "__auto":
        return interpolate(labels_in(template, series.labels), values, style="text")
    labels = {key: value for key, value in series.labels.items() if key != "__name__"}
    if template == "__auto" and len(answer.series) > 1:
        differing = [key for key in labels if len({other.labels.get(key) for other in answer.series}) > 1]
        if len(differing) == 1:
            return labels[differing[0]]
    inside = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    metric = series.labels.get("__name__", "")
    if not metric and not inside:
        return answer.target.expr if template != "__auto" else "Value"
    return metric + (f"{{{inside}}}" if inside else "")


def labels_in(template: str, labels: Mapping[str, str]) -> str:
    """Fill in each `{{label}}` of a text; empty if the series has no such label."""
    return re.sub(r"\{\{\s*([\w.]+)\s*\}\}", lambda match: labels.get(match.group(1), ""), template)


_CALCS: dict[str, tuple[str, Callable[[list[float]], float]]] = {
    "lastNotNull": ("Last *", lambda known: known[-1]),
    "last": ("Last", lambda known: known[-1]),
    "firstNotNull": ("First *", lambda known: known[0]),
    "first": ("First", lambda known: known[0]),
    "min": ("Min", min),
    "max": ("Max", max),
    "mean": ("Mean", lambda known: sum(known) / len(known)),
    "sum": ("Total", sum),
    "count": ("Count", lambda known: float(len(known))),
    "range": ("Range", lambda known: max(known) - min(known)),
    "diff": ("Difference", lambda known: known[-1] - known[0]),
    "delta": ("Delta", lambda known: sum(max(b - a, 0) for a, b in pairwise(known))),
    "median": ("Median", lambda known: sorted(known)[len(known) // 2]),
}


def calc_name(calc: str) -> str:
    """Return the heading of a calculation in a legend table."""
    return _CALCS[calc][0] if calc in _CALCS else calc


def reduce(values: Values, calc: str) -> float | None:
    """Reduce a series to one number; None if it has no samples, or for `last` if its last one is missing."""
    if calc == "last" and values and values[-1] is None:
        return None
    known = [value for value in values if value is not None]
    return _CALCS.get(calc, _CALCS["lastNotNull"])[1](known) if known else None
