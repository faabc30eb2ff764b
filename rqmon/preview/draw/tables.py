"""HTML of the table panel and of chart legends."""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, TypeVar

from rqmon.preview.draw.colors import with_alpha
from rqmon.preview.draw.fields import Field, field_for
from rqmon.preview.draw.frames import Answer, Frame, calc_name, reduce
from rqmon.preview.grafana.links import link_html
from rqmon.preview.grafana.model import Panel
from rqmon.preview.grafana.variables import Value

Row = dict[str, str | float | None]
T = TypeVar("T")

_OUTWARD = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">'
    '<path d="M10 5H5v14h14v-5M14 4h6v6M20 4l-9 9"></path></svg>'
)


def table_html(
    panel: Panel, answers: Sequence[Answer], values: Mapping[str, Value], *, most: int
) -> tuple[str, int]:
    """Return the table of instant queries' labels and values, and how many rows there are in total.

    Several queries are joined on their common labels. Of more than `most` rows, the first are shown; in an
    unsorted table, those with the largest values in the first value column.

    The transformation `organize` hides, orders and renames columns; `options.sortBy` sorts rows.
    """
    rows, columns = _joined(answers)
    names, order = _organize(panel, columns)
    columns = [column for column in order if column in columns]
    fields = {
        column: field_for(names[column], ref_id="", defaults=panel.defaults, overrides=panel.overrides)
        for column in columns
    }
    sorts: dict[str, bool] = {}
    for sort in panel.options.get("sortBy") or ():
        column = next((c for c in columns if sort.get("displayName") in (names[c], c)), None)
        if column:
            sorts.setdefault(column, bool(sort.get("desc")))
    for column, descending in reversed(sorts.items()):
        rows = _ordered(rows, [row.get(column) for row in rows], descending=descending)
    numeric = {c for c in columns if any(isinstance(row.get(c), float) for row in rows)}
    shown = rows[:most]
    if len(rows) > most and not panel.options.get("sortBy"):
        first = next((c for c in columns if c.startswith("Value")), "")
        largest = heapq.nlargest(most, range(len(rows)), key=lambda place: _sort_key(rows[place].get(first)))
        shown = [rows[place] for place in sorted(largest)]
    first_sort = next(iter(sorts), "")
    head = "".join(
        _head(
            fields[c].display_name or names[c],
            numeric=c in numeric,
            descending=sorts[c] if c == first_sort else None,
        )
        for c in columns
    )
    body = "".join(
        "<tr>" + "".join(_cell(c, row, fields[c], values, numeric=c in numeric) for c in columns) + "</tr>"
        for row in shown
    )
    html = (
        f'<div class="table-scroll"><table class="grid-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    return html, len(rows)


def _head(name: str, *, numeric: bool, descending: bool | None) -> str:
    """A column's heading, as a button that sorts by it (by panels.js); `descending` tells the sort so far."""
    told = "" if descending is None else f' aria-sort="{"descending" if descending else "ascending"}"'
    return (
        f'<th scope="col" class="{"num" if numeric else ""}"{told}>'
        f'<button type="button" class="sort">{escape(name)}</button></th>'
    )


def _ordered(items: Iterable[T], keys: Iterable[str | float | None], *, descending: bool) -> list[T]:
    """Return the items in the order of their keys; in both directions, those without a value are last."""
    pairs = [(_sort_key(key), item) for key, item in zip(keys, items, strict=True)]
    known = [pair for pair in pairs if pair[0][0] >= 0]
    known.sort(key=lambda pair: pair[0], reverse=descending)
    return [item for _, item in known] + [item for key, item in pairs if key[0] < 0]


def _data(value: float | None) -> str:
    """The attribute with a cell's value, as JavaScript reads it; none if there is no value."""
    if value is None or math.isnan(value):
        return ""
    return f' data-value="{str(value).replace("inf", "Infinity")}"'


def _joined(answers: Sequence[Answer]) -> tuple[list[Row], list[str]]:
    """Return the rows, and all columns: Time, the labels, then `Value` or `Value #A`, `Value #B`."""
    rows: dict[tuple[tuple[str, str], ...], Row] = {}
    labels: dict[str, None] = {}
    values: dict[str, None] = {}
    for answer in answers:
        value = "Value" if len(answers) == 1 else f"Value #{answer.target.ref_id}"
        values[value] = None
        for series in answer.series:
            labels |= dict.fromkeys(series.labels)
            row = rows.setdefault(tuple(sorted(series.labels.items())), {**series.labels})
            moment, row[value] = series.points[-1]
            row["Time"] = moment * 1000
    return list(rows.values()), ["Time", *labels, *values]


def _organize(panel: Panel, columns: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    names, order = {column: column for column in columns}, list(columns)
    hidden: set[str] = set()
    for transformation in panel.transformations:
        options: Mapping[str, Any] = transformation.get("options") or {}
        if transformation.get("id") == "organize":
            hidden |= {c for c, excluded in (options.get("excludeByName") or {}).items() if excluded}
            names |= {c: n for c, n in (options.get("renameByName") or {}).items() if n and c in names}
            places = options.get("indexByName") or {}
            order.sort(key=lambda c: places.get(c, len(order)))
        elif transformation.get("id") == "filterFieldsByName":
            wanted = (options.get("include") or {}).get("names") or columns
            hidden |= set(columns) - set(wanted)
    return names, [column for column in order if column not in hidden]


def _sort_key(value: str | float | None) -> tuple[int, float, str]:
    if isinstance(value, float):
        return (-1, 0.0, "") if math.isnan(value) else (1, value, "")
    return (0, 0.0, value) if value else (-1, 0.0, "")


def _cell(column: str, row: Row, field: Field, values: Mapping[str, Value], *, numeric: bool) -> str:
    value = row.get(column)
    kind = str((field.custom.get("cellOptions") or {}).get("type") or "auto")
    if not isinstance(value, float):
        text = escape(value or "")
        content = (link_html(field.links, row, values, html=text) if text else "") or text
        return f'<td class="{"num" if numeric else ""}" title="{text}">{content}</td>'
    color = field.color(value)
    style = f"color: {color}" if kind == "color-text" else ""
    if kind == "color-background":
        style = f"background: {with_alpha(color, 0.6)}"
    bar = ""
    if kind == "gauge":
        share = field.share(value) * 100
        bar = f'<span class="cell-bar"><span style="width: {share:.1f}%; background: {color}"></span></span>'
    text = escape(field.text(value))
    content = link_html(field.links, row, values, html=text) or text
    return f'<td class="num" style="{style}"{_data(value)}>{bar}{content}</td>'


def legend_html(panel: Panel, frames: Sequence[Frame], values: Mapping[str, Value]) -> str:
    """A list or table of the series with the chosen calculations; empty if the panel hides it."""
    legend = panel.options.get("legend") or {}
    if not legend.get("showLegend", True) or legend.get("displayMode") == "hidden" or not frames:
        return ""
    calcs = [str(calc) for calc in legend.get("calcs") or ()]
    shown = [f for f in frames if not (f.field.custom.get("hideFrom") or {}).get("legend")]
    if legend.get("displayMode") != "table":
        items = "".join(
            f"<li>{_key(frame, values)}{''.join(_calc_text(frame, calc) for calc in calcs)}</li>"
            for frame in shown
        )
        return f'<ul class="legend-list">{items}</ul>'
    sort, descending = legend.get("sortBy"), bool(legend.get("sortDesc"))
    by_calc = next((calc for calc in calcs if sort in (calc, calc_name(calc))), None)
    if by_calc:
        shown = _ordered(shown, [reduce(frame.values, by_calc) for frame in shown], descending=descending)
    elif sort == "Name":
        shown = _ordered(shown, [frame.name for frame in shown], descending=descending)
    head = _head("Name", numeric=False, descending=descending if sort == "Name" else None) + "".join(
        _head(calc_name(calc), numeric=True, descending=descending if calc == by_calc else None)
        for calc in calcs
    )
    rows = "".join(
        f"<tr><td>{_key(frame, values)}</td>"
        + "".join(
            f'<td class="num"{_data(reduce(frame.values, calc))}>{escape(_calc(frame, calc))}</td>'
            for calc in calcs
        )
        + "</tr>"
        for frame in shown
    )
    return f'<table class="legend-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def state_legend_html(frames: Sequence[Frame]) -> str:
    """The states shown by a state timeline, each with its colour."""
    states = {
        frame.field.text(value): frame.field.color(value, index=frame.index)
        for frame in frames
        for value in sorted({v for v in frame.values if v is not None})
    }
    items = "".join(
        f'<li><span class="key" style="background: {color}"></span>{escape(text)}</li>'
        for text, color in list(states.items())[:20]
    )
    return f'<ul class="legend-list">{items}</ul>'


def _key(frame: Frame, values: Mapping[str, Value]) -> str:
    """The series' colour and name, as a button that shows only it (by preview.js), and its data link."""
    name = escape(frame.name)
    return (
        f'<button type="button" class="legend-key" data-series="{frame.index}" aria-label="Show only {name}">'
        f'<span class="key" style="background: {frame.color}"></span>{name}</button>'
        + link_html(frame.field.links, frame.labels, values, html=_OUTWARD, name=frame.name)
    )


def _calc(frame: Frame, calc: str) -> str:
    return frame.field.text(reduce(frame.values, calc))


def _calc_text(frame: Frame, calc: str) -> str:
    return f'<span class="calc">{escape(calc_name(calc))}: {escape(_calc(frame, calc))}</span>'
