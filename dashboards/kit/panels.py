"""Panel constructors: grafanalib's classes with this project's look already chosen.

Each takes a title, a description (what the panel means, and what to do if it looks wrong), and its queries as
{legend: PromQL}. Panels only have a size; `render` places them.
"""

from collections.abc import Mapping
from typing import Any

from grafanalib import core

from dashboards.kit import theme
from dashboards.kit.links import Board, Link
from dashboards.kit.variables import DATASOURCE

REF_IDS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Queries = Mapping[str, str]


def _frame(
    title: str, description: str, queries: Queries, *, width: int, height: int, instant: bool = False
) -> dict[str, Any]:
    """Return the arguments of every panel; instant queries ask only for the latest value."""
    return {
        "title": title,
        "description": description,
        "dataSource": DATASOURCE,
        "gridPos": core.GridPos(h=height, w=width, x=0, y=0),
        "targets": [
            core.Target(expr=expr, legendFormat=legend, refId=ref_id, instant=instant, datasource=DATASOURCE)
            for ref_id, (legend, expr) in zip(REF_IDS, queries.items(), strict=False)
        ],
    }


def row(title: str) -> core.RowPanel:
    """A heading over the panels that follow."""
    return core.RowPanel(title=title)


def stat(
    title: str,
    description: str,
    queries: Queries,
    *,
    unit: str,
    thresholds: list[dict[str, Any]],
    mappings: list[dict[str, Any]] | None = None,
    decimals: int | None = None,
    overrides: list[dict[str, Any]] | None = None,
    named: bool = False,
    width: int = 4,
    reads_on: Board | None = None,
) -> core.Stat:
    """A large number: the value at the end of the time range, coloured by its thresholds.

    It is an instant query: a graph's last point is up to a step old. `named` shows the legend too,
    `overrides` set apart one of several numbers, and a click leads to where one reads on.
    """
    return core.Stat(
        **_frame(title, description, queries, width=width, height=4, instant=True),
        format=unit,
        thresholds=thresholds,
        mappings=[*(mappings or []), theme.UNKNOWN],
        decimals=decimals,
        reduceCalc="last",
        graphMode="none",
        textMode="value_and_name" if named else "auto",
        noValue=theme.UNKNOWN_TEXT,
        color={"mode": "thresholds"},
        overrides=overrides or [],
        extraJson={"fieldConfig": {"defaults": _links(reads_on)}},
    )


def gauge(
    title: str,
    description: str,
    queries: Queries,
    *,
    thresholds: list[dict[str, Any]],
    mappings: list[dict[str, Any]] | None = None,
    reads_on: Board | None = None,
) -> core.GaugePanel:
    """A share of a whole, from 0 to 100%, with its legend."""
    return core.GaugePanel(
        **_frame(title, description, queries, width=4, height=4, instant=True),
        format="percentunit",
        thresholds=thresholds,
        calc="last",
        min=0,
        max=1,
        decimals=0,
        extraJson={
            "fieldConfig": {"defaults": _unknown(mappings or []) | _links(reads_on)},
            "options": {"textMode": "value_and_name"},
        },
    )


def _links(reads_on: Board | None) -> dict[str, Any]:
    return {"links": [reads_on.link()]} if reads_on else {}


def _unknown(mappings: list[dict[str, Any]]) -> dict[str, Any]:
    return {"noValue": theme.UNKNOWN_TEXT, "mappings": [*mappings, theme.UNKNOWN]}


def shares(
    title: str, description: str, queries: Queries, *, colors: dict[str, str] | None = None
) -> core.BarGauge:
    """A bar for each part of a whole, from 0 to 100%."""
    return core.BarGauge(
        **_frame(title, description, queries, width=8, height=8, instant=True),
        format="percentunit",
        thresholds=theme.steps(theme.INFO),
        calc="last",
        min=0,
        max=1,
        decimals=1,
        displayMode="gradient",
        extraJson={
            "fieldConfig": {
                "defaults": _unknown([]),
                "overrides": theme.color_overrides(colors or {}),
            }
        },
    )


def timeseries(
    title: str,
    description: str,
    queries: Queries,
    *,
    unit: str,
    width: int,
    stacked: bool = False,
    maximum: int | None = None,
    colors: dict[str, str] | None = None,
    link: Link | None = None,
) -> core.TimeSeries:
    """Values over time: lines from zero, or stacked areas if the parts make a whole."""
    return core.TimeSeries(
        **_frame(title, description, queries, width=width, height=8),
        unit=unit,
        valueMin=0,
        valueMax=maximum,
        lineWidth=0 if stacked else 2,  # lines would show parts that are 0 on top of the others
        fillOpacity=70 if stacked else 8,
        stacking={"group": "A", "mode": "normal" if stacked else "none"},
        showPoints="never",
        legendDisplayMode="list" if stacked else "table",
        legendCalcs=[] if stacked else ["last", "max"],
        tooltipMode="multi",
        tooltipSort="desc",
        overrides=theme.color_overrides(colors or {}),
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "color": {"mode": "palette-classic-by-name"},
                    **({"links": [link.of_series()]} if link else {}),
                }
            },
            "options": {"legend": {} if stacked else {"sortBy": "Last", "sortDesc": True}},
        },
    )


def bars(
    title: str,
    description: str,
    queries: Queries,
    *,
    unit: str,
    width: int,
    colors: dict[str, str] | None = None,
    link: Link | None = None,
) -> core.TimeSeries:
    """Stacked counts in each step of the graph, with totals in the legend."""
    panel = timeseries(
        title, description, queries, unit=unit, width=width, stacked=True, colors=colors, link=link
    )
    panel.drawStyle = "bars"
    panel.legendCalcs = ["sum"]
    panel.legendDisplayMode = "table"
    panel.extraJson["options"]["legend"] = {"sortBy": "Total", "sortDesc": True}
    return panel


def heatmap(title: str, description: str, buckets: str, *, unit: str) -> core.Heatmap:
    """The distribution of a histogram's observations over its buckets; `buckets` keeps the label `le`."""
    frame = _frame(title, description, {"{{le}}": buckets}, width=24, height=11)
    frame["targets"][0].format = "heatmap"
    frame["targets"][0].interval = "1m"  # at least, so that a step has several scrapes
    return core.Heatmap(**frame, extraJson={"fieldConfig": {"defaults": {"unit": unit}}})


def state_timeline(
    title: str,
    description: str,
    queries: Queries,
    *,
    mappings: list[dict[str, Any]],
    height: int,
) -> core.StateTimeline:
    """A band per series; colours and texts show the states that numbers stand for."""
    return core.StateTimeline(
        **_frame(title, description, queries, width=24, height=height),
        mappings=mappings,
        fillOpacity=80,
        showValue="never",
        extraJson={"fieldConfig": {"defaults": {"unit": "short"}}},
    )


def table(
    title: str,
    description: str,
    queries: Queries,
    *,
    labels: dict[str, str],
    width: int,
    overrides: list[dict[str, Any]],
    link: Link | None = None,
    sort: str,
    last_labels: dict[str, str] | None = None,
    no_value: str | None = None,
) -> core.Table:
    """A row per combination of labels, a column per query (named by its legend).

    Args:
        title: The heading of the table.
        description: What it means and what to do.
        queries: {column: PromQL}; all of them keep the same labels.
        labels: {label: column title} in the order to show them.
        width: The width, of 24 columns.
        overrides: Units and colours of single columns, by their titles.
        link: The first column's link; rows have the label `queue`.
        sort: The column to sort by, largest values first.
        last_labels: More labels, to show after the values.
        no_value: What it says without rows.
    """
    frame = _frame(title, description, queries, width=width, height=8, instant=True)
    for target in frame["targets"]:
        target.format = "table"
    # Grafana's names of the value columns: a letter is only added if there are several queries.
    names = [f"Value #{target.refId}" for target in frame["targets"]] if len(queries) > 1 else ["Value"]
    columns = labels | dict(zip(names, queries, strict=True)) | (last_labels or {})
    return core.Table(
        **frame,
        unit=theme.COUNT,
        thresholds=theme.steps(theme.NEUTRAL),
        overrides=[
            # Grafana would write it into every empty cell too.
            *([theme.no_text_in_empty_cells()] if no_value else []),
            *overrides,
            *([link.of_column(next(iter(labels.values())))] if link else []),
        ],
        sortBy=[core.TableSortByField(displayName=sort, desc=True)],
        extraJson={"fieldConfig": {"defaults": {"noValue": no_value}}} if no_value else None,
        transformations=[
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "includeByName": {},
                    "indexByName": {column: index for index, column in enumerate(columns)},
                    "renameByName": columns,
                },
            },
        ],
    )
