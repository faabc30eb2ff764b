"""`python -m dashboards.export DIR`: writes the dashboards as files that any Grafana can import.

In Grafana choose "Import" and "Upload dashboard JSON file"; the import asks for the data source and for
rq-dashboard's address.
"""

import argparse
import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dashboards.__main__ import generate
from dashboards.kit.render import GRAFANA_VERSION
from dashboards.paths import DASHBOARDS
from scheduler.errors import ConfigError

Json = dict[str, Any]

INPUT = {
    "name": "DS_PROMETHEUS",
    "label": "Prometheus",
    "description": "The Prometheus that scrapes the exporter.",
    "type": "datasource",
    "pluginId": "prometheus",
    "pluginName": "Prometheus",
}
# Panel types as Grafana calls them.
PANEL_NAMES = {
    "barchart": "Bar chart",
    "bargauge": "Bar gauge",
    "gauge": "Gauge",
    "heatmap": "Heatmap",
    "piechart": "Pie chart",
    "stat": "Stat",
    "state-timeline": "State timeline",
    "status-history": "Status history",
    "table": "Table",
    "text": "Text",
    "timeseries": "Time series",
}


def importable(dashboard: Json) -> Json:
    """Add `__inputs` and `__requires` to a dashboard; its data source and constants become inputs."""
    exported = copy.deepcopy(dashboard)
    inputs: list[Json] = [INPUT]
    for variable in exported["templating"]["list"]:
        if variable["type"] == "datasource":
            given = f"${{{INPUT['name']}}}"
            variable["current"] = {"selected": False, "text": given, "value": given}
        elif variable["type"] == "constant":
            inputs.append(_input(variable))
            given = f"${{{inputs[-1]['name']}}}"
            variable |= {"current": {"text": given, "value": given}, "query": given}
    types = sorted({panel["type"] for panel in _every(exported["panels"])} - {"row"})
    return {
        "__inputs": inputs,
        "__elements": {},
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": GRAFANA_VERSION},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": kind, "name": PANEL_NAMES[kind], "version": ""} for kind in types),
        ],
        **exported,
        "id": None,
    }


def _input(constant: Json) -> Json:
    """Return the input for a constant, with the constant's value as default."""
    return {
        "name": f"VAR_{constant['name'].upper()}",
        "label": constant["label"],
        "description": "",
        "type": "constant",
        "value": constant["query"],
    }


def _every(panels: Sequence[Json]) -> list[Json]:
    return [found for panel in panels for found in (panel, *_every(panel.get("panels", ())))]


def export(folder: Path) -> list[Path]:
    """Write every dashboard to a folder, creating it if necessary; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for path, text in generate().items():
        if path.parent == DASHBOARDS:
            files.append(folder / path.name)
            exported = importable(json.loads(text))
            files[-1].write_text(json.dumps(exported, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return files


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files and print their names."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.export", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write them")
    folder = parser.parse_args(arguments).folder
    try:
        files = export(folder)
    except ConfigError as error:
        parser.exit(2, f"{error}\n")
    for file in files:
        print(file)  # noqa: T201 (the command's output)


if __name__ == "__main__":
    main()
