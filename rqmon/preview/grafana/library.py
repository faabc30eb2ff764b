"""Reads the folder of dashboard files once, when the preview starts."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rqmon.preview.grafana.model import Dashboard, parse_dashboard


def load_dashboards(folder: Path, constants: Mapping[str, str] | None = None) -> dict[str, Dashboard]:
    """Load every `*.json` file in a folder as a dashboard, by uid, in order of title.

    `constants` has the values of variables of type constant, by name.

    Raises:
        ValueError: The folder is missing or empty, or a file is not a dashboard; the message names it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; give the one that `make dashboards` writes")
    found: dict[str, Dashboard] = {}
    for file in sorted(folder.glob("*.json")):
        try:
            dashboard = parse_dashboard(json.loads(file.read_text(encoding="utf-8")))
            dashboard = _with_constants(dashboard, constants or {})
        except (OSError, ValueError) as error:
            raise ValueError(f"{file} is {_reason(error)}") from error
        if dashboard.uid in found:
            raise ValueError(f"{file} has the uid {dashboard.uid!r}, which another dashboard already has")
        found[dashboard.uid] = dashboard
    if not found:
        raise ValueError(f"{folder} has no dashboards (*.json); write them with `make dashboards`")
    return dict(sorted(found.items(), key=lambda pair: pair[1].title))


def _with_constants(dashboard: Dashboard, constants: Mapping[str, str]) -> Dashboard:
    variables = (
        replace(variable, current=(constants[variable.name],))
        if variable.type == "constant" and variable.name in constants
        else variable
        for variable in dashboard.variables
    )
    return replace(dashboard, variables=tuple(variables))


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at line {error.lineno}"
    return "not readable" if isinstance(error, OSError | UnicodeDecodeError) else str(error)
