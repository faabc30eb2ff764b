"""The part of Grafana's dashboard JSON that the preview understands, as frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
ALL = "$__all"


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    ref_id: str
    expr: str
    legend_format: str
    instant: bool
    format: str
    min_step: str


@dataclass(frozen=True)
class Override:
    """Field properties, by dotted id, for the series that a matcher selects."""

    matcher: str
    options: Any
    properties: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Panel:
    """One panel: its place on the 24-column grid, its queries and how it is drawn."""

    id: int
    type: str
    title: str
    description: str
    x: int
    y: int
    w: int
    h: int
    transparent: bool
    targets: tuple[Target, ...]
    defaults: Json
    overrides: tuple[Override, ...]
    options: Json
    transformations: tuple[Json, ...]


@dataclass(frozen=True)
class Section:
    """The panels under one row; a dashboard's first section has no row, and so no title."""

    title: str | None
    collapsed: bool
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A template variable; `current` has values (`$__all` for All), `choices` pairs of text and value."""

    name: str
    label: str
    type: str
    hidden: bool
    query: str
    regex: str
    multi: bool
    include_all: bool
    all_value: str
    sort: int
    current: tuple[str, ...]
    choices: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Link:
    """A link to every dashboard that has all its tags, and what it passes on."""

    tags: tuple[str, ...]
    include_vars: bool
    keep_time: bool


@dataclass(frozen=True)
class Annotation:
    """A query whose samples above 0 are marked on every time series chart; `title_format` may be empty."""

    name: str
    expr: str
    color: str
    title_format: str = ""


@dataclass(frozen=True)
class Dashboard:
    """One dashboard file."""

    uid: str
    title: str
    description: str
    start: str
    end: str
    refresh: str
    tags: tuple[str, ...]
    links: tuple[Link, ...]
    annotations: tuple[Annotation, ...]
    variables: tuple[Variable, ...]
    sections: tuple[Section, ...]


def parse_dashboard(data: Any) -> Dashboard:
    """Read Grafana's dashboard model.

    Raises:
        ValueError: It is not a dashboard, or a part has the wrong shape; the message says which.
    """
    if not isinstance(data, dict) or not isinstance(data.get("panels"), list) or not data.get("title"):
        raise ValueError("not a Grafana dashboard: it needs a title and a list of panels")
    if not data.get("uid"):
        raise ValueError("a dashboard without a uid, which its address needs")
    time = data.get("time") or {}
    try:
        return Dashboard(
            uid=str(data["uid"]),
            title=str(data["title"]),
            description=str(data.get("description") or ""),
            start=str(time.get("from") or "now-1h"),
            end=str(time.get("to") or "now"),
            refresh=str(data.get("refresh") or ""),
            tags=tuple(str(tag) for tag in data.get("tags") or ()),
            links=tuple(_link(v) for v in data.get("links") or () if v.get("type") == "dashboards"),
            annotations=tuple(
                Annotation(
                    str(a["name"]),
                    str(a["expr"]),
                    str(a.get("iconColor") or "red"),
                    str(a.get("titleFormat") or ""),
                )
                for a in (data.get("annotations") or {}).get("list") or ()
                if a.get("expr") and a.get("enable") and not a.get("hide")
            ),
            variables=tuple(_variable(v) for v in (data.get("templating") or {}).get("list") or ()),
            sections=_sections(data["panels"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a dashboard this preview can't read ({type(error).__name__}: {error})") from error


def _link(data: Json) -> Link:
    tags = tuple(str(tag) for tag in data.get("tags") or ())
    return Link(tags, include_vars=bool(data.get("includeVars")), keep_time=bool(data.get("keepTime")))


def _sections(panels: list[Json]) -> tuple[Section, ...]:
    ordered = sorted(panels, key=lambda p: (p["gridPos"]["y"], p["gridPos"]["x"]))
    found: list[tuple[str | None, bool, list[Panel]]] = [(None, False, [])]
    for data in ordered:
        if data["type"] == "row":
            nested = [_panel(p) for p in data.get("panels") or ()]
            found.append((str(data.get("title") or "Row"), bool(data.get("collapsed")), nested))
        else:
            found[-1][2].append(_panel(data))
    return tuple(Section(title, shut, tuple(inside)) for title, shut, inside in found if title or inside)


def _panel(data: Json) -> Panel:
    grid = data["gridPos"]
    width = min(max(int(grid["w"]), 1), 24)
    field = data.get("fieldConfig") or {}
    return Panel(
        id=int(data.get("id") or 0),
        type=str(data["type"]),
        title=str(data.get("title") or ""),
        description=str(data.get("description") or ""),
        x=min(max(int(grid["x"]), 0), 24 - width),
        y=max(int(grid["y"]), 0),
        w=width,
        h=min(max(int(grid["h"]), 1), 60),
        transparent=bool(data.get("transparent")),
        targets=tuple(_target(t) for t in data.get("targets") or () if t.get("expr") and not t.get("hide")),
        defaults=field.get("defaults") or {},
        overrides=tuple(_override(o) for o in field.get("overrides") or ()),
        options=data.get("options") or {},
        transformations=tuple(data.get("transformations") or ()),
    )


def _target(data: Json) -> Target:
    return Target(
        ref_id=str(data.get("refId") or "A"),
        expr=str(data["expr"]),
        legend_format=str(data.get("legendFormat") or ""),
        instant=bool(data.get("instant")) and not data.get("range"),
        format=str(data.get("format") or "time_series"),
        min_step=str(data.get("interval") or ""),
    )


def _override(data: Json) -> Override:
    matcher = data.get("matcher") or {}
    return Override(
        matcher=str(matcher.get("id")),
        options=matcher.get("options"),
        properties=tuple((str(p["id"]), p.get("value")) for p in data.get("properties") or ()),
    )


def _variable(data: Json) -> Variable:
    query = data.get("query") or data.get("definition") or ""
    if isinstance(query, dict):
        query = query.get("query") or ""
    value = (data.get("current") or {}).get("value")
    current = value if isinstance(value, list) else [] if value in (None, "", {}) else [value]
    choices = [(str(o.get("text")), str(o.get("value"))) for o in data.get("options") or ()]
    if not choices and data["type"] in ("custom", "interval"):
        choices = [(text, text) for text in (part.strip() for part in str(query).split(",")) if text]
    if data["type"] in ("constant", "textbox") and not current:
        current = [query]
    return Variable(
        name=str(data["name"]),
        label=str(data.get("label") or data["name"]),
        type=str(data["type"]),
        hidden=data.get("hide") in (2, "hideVariable") or data["type"] == "constant",
        query=str(query),
        regex=str(data.get("regex") or ""),
        multi=bool(data.get("multi")),
        include_all=bool(data.get("includeAll")),
        all_value=str(data.get("allValue") or ""),
        sort=int(data.get("sort") or 0),
        current=tuple(str(v) for v in current),
        choices=tuple(choice for choice in choices if choice[1] != ALL),
    )
