"""Turns a grafanalib dashboard into the JSON that the pinned Grafana would save.

grafanalib 0.7.1 writes schema version 12, dozens of nulls and outdated forms of several panels; all of that
is corrected here, once. The defaults come from the npm package @grafana/schema 13.2.2, which is released with
the server: `defaultDashboard` in dist/esm/raw/dashboard/x/types.gen.mjs.
"""

import json
import zlib
from collections.abc import Callable
from typing import Any

from grafanalib._gen import DashboardEncoder
from grafanalib.core import Dashboard

from dashboards.kit.panel_options import OPTIONS, SINGLE_VALUE

Json = dict[str, Any]

GRAFANA_VERSION = "13.2.2"
SCHEMA_VERSION = 42
COLUMNS = 24

DASHBOARD_KEYS = ("description", "graphTooltip", "refresh", "tags", "time", "timezone", "title", "uid")
PANEL_KEYS = ("datasource", "description", "gridPos", "title", "transformations", "type")
TARGET_KEYS = ("datasource", "expr", "format", "instant", "legendFormat", "refId")
FIELD_KEYS = (
    "color",
    "custom",
    "decimals",
    "links",
    "mappings",
    "max",
    "min",
    "noValue",
    "thresholds",
    "unit",
)
VARIABLE_KEYS = ("allValue", "datasource", "hide", "includeAll", "label", "multi", "name", "options")

# The annotations of every dashboard: Grafana's own, for its alerts.
LINK = {"icon": "external link", "targetBlank": False, "tooltip": "", "url": ""}
ANNOTATIONS = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


def render(dashboard: Dashboard) -> str:
    """Return the dashboard's JSON: sorted, indented, ending in a newline, the same every time.

    Raises:
        ValueError: Two panels of a kind share a title, so their ids would clash.
    """
    model: Json = json.loads(json.dumps(dashboard, cls=DashboardEncoder))
    panels = [_panel(panel) for panel in model["panels"]]
    _place(panels)
    _leave_out_links_to_itself(model["uid"], panels)
    normalised = {key: model[key] for key in DASHBOARD_KEYS} | {
        "annotations": {"list": [ANNOTATIONS, *model["annotations"]["list"]]},
        "editable": True,
        "fiscalYearStartMonth": 0,
        "links": [LINK | link for link in model["links"]],
        "panels": panels,
        "preload": False,
        "schemaVersion": SCHEMA_VERSION,
        "templating": {"list": [_variable(variable) for variable in model["templating"]["list"]]},
        "timepicker": {"refresh_intervals": model["timepicker"]["refresh_intervals"]},
        "version": 1,
    }
    return json.dumps(_without_nulls(normalised), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _leave_out_links_to_itself(uid: str, panels: list[Json]) -> None:
    """A number that two dashboards share leads to one of them, and there to nothing."""
    for panel in panels:
        defaults = panel.get("fieldConfig", {}).get("defaults", {})
        if "links" in defaults:
            defaults["links"] = [it for it in defaults["links"] if not it["url"].startswith(f"/d/{uid}?")]


def _place(panels: list[Json]) -> None:
    """Place the panels left to right, starting a new line if one does not fit; give each its id.

    An id is derived from the panel's type and title, so links to a panel survive when others move.
    """
    x = y = line_height = 0
    ids: dict[int, str] = {}
    for panel in panels:
        position = panel["gridPos"]
        if x + position["w"] > COLUMNS:
            x, y, line_height = 0, y + line_height, 0
        position |= {"x": x, "y": y}
        x, line_height = x + position["w"], max(line_height, position["h"])

        panel["id"] = zlib.crc32(f"{panel['type']}/{panel['title']}".encode()) % 1_000_000
        if clash := ids.get(panel["id"]):
            raise ValueError(f"panels {clash!r} and {panel['title']!r} get the same id; rename one")
        ids[panel["id"]] = panel["title"]


def _panel(panel: Json) -> Json:
    if panel["type"] == "row":
        return {"gridPos": {"h": 1, "w": COLUMNS}} | {
            key: panel[key] for key in ("collapsed", "panels", "title", "type")
        }
    defaults, options = MODERNISE.get(panel["type"], _as_it_is)(panel)
    defaults = {key: defaults[key] for key in FIELD_KEYS if key in defaults}
    defaults["thresholds"]["steps"] = defaults["thresholds"]["steps"] or [{"color": "green", "value": 0}]
    if "legend" in options and "showLegend" not in options["legend"]:
        options["legend"] = {"calcs": [], "showLegend": True} | options["legend"]
    if "tooltip" in options:
        options["tooltip"] = {"sort": "none"} | options["tooltip"]
    return {key: panel[key] for key in PANEL_KEYS} | {
        "fieldConfig": {
            "defaults": {"color": {"mode": "thresholds"}, "mappings": []} | defaults,
            "overrides": panel["fieldConfig"].get("overrides", []),
        },
        "options": OPTIONS[panel["type"]] | options,
        "pluginVersion": GRAFANA_VERSION,
        "targets": [_target(target) for target in panel["targets"]],
    }


def _as_it_is(panel: Json) -> tuple[Json, Json]:
    return panel["fieldConfig"]["defaults"], panel["options"]


def _timeseries(panel: Json) -> tuple[Json, Json]:
    defaults = panel["fieldConfig"]["defaults"]
    defaults["custom"] |= {
        "axisBorderShow": False,
        "axisCenteredZero": False,
        "axisColorMode": "text",
        "insertNulls": False,
        "scaleDistribution": {"type": defaults["custom"]["scaleDistribution"]["type"]},
    }
    return defaults, panel["options"]


def _gauge(panel: Json) -> tuple[Json, Json]:
    defaults = panel["fieldConfig"]["defaults"]
    calcs = {"calcs": defaults["calcs"]}
    return defaults, panel["options"] | {"reduceOptions": SINGLE_VALUE["reduceOptions"] | calcs}


def _bargauge(panel: Json) -> tuple[Json, Json]:
    old = panel["options"]["fieldOptions"]
    defaults = old["defaults"] | {"mappings": old["mappings"]} | panel["fieldConfig"]["defaults"]
    return defaults, {
        "displayMode": panel["options"]["displayMode"],
        "orientation": panel["options"]["orientation"],
        "reduceOptions": SINGLE_VALUE["reduceOptions"] | {"calcs": old["calcs"]},
    }


def _heatmap(panel: Json) -> tuple[Json, Json]:
    defaults = panel["fieldConfig"]["defaults"]
    return defaults, {"yAxis": {"axisPlacement": "left", "unit": defaults["unit"]}}


def _table(panel: Json) -> tuple[Json, Json]:
    defaults = panel["fieldConfig"]["defaults"]
    old = defaults["custom"]
    defaults["custom"] = {
        "align": old["align"],
        "cellOptions": {"type": old["displayMode"]},
        "filterable": old["filterable"],
        "inspect": False,
    }
    return defaults, panel["options"]


# Converters for panels that grafanalib writes in an outdated form: panel -> (fieldConfig.defaults, options).
MODERNISE: dict[str, Callable[[Json], tuple[Json, Json]]] = {
    "bargauge": _bargauge,
    "gauge": _gauge,
    "heatmap": _heatmap,
    "table": _table,
    "timeseries": _timeseries,
}


def _target(target: Json) -> Json:
    kept = {key: target[key] for key in TARGET_KEYS}
    if target["interval"]:
        kept["interval"] = target["interval"]
    return kept | {"editorMode": "code", "range": not target["instant"]}


def _variable(variable: Json) -> Json:
    kept = {key: variable[key] for key in VARIABLE_KEYS} | {"type": variable["type"]}
    if variable["type"] == "datasource":
        default = {"selected": False, "text": "Prometheus", "value": "prometheus"}
        return kept | {"current": default, "query": variable["query"], "refresh": 1, "regex": ""}
    if variable["type"] == "constant":
        names = {key: variable[key] for key in ("hide", "label", "name", "query", "type")}
        value = variable["query"]
        return names | {"current": {"text": value, "value": value}, "skipUrlSync": True}
    return kept | {
        "current": {"text": ["All"], "value": ["$__all"]},
        "query": {
            "qryType": 1,  # label values
            "query": variable["query"],
            "refId": "PrometheusVariableQueryEditor-VariableQuery",
        },
        "refresh": variable["refresh"],
        "regex": variable["regex"] or "",
        "sort": variable["sort"],
    }


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
