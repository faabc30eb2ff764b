"""Exported dashboards name what they need, and take the values given to Grafana at import."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dashboards.__main__ import generate
from dashboards.export import PANEL_NAMES, export, importable, main


def imported(exported: Any, **given: str) -> Any:
    """Do what Grafana's importer does: replace every `${NAME}` of an input, and leave all others."""
    assert given.keys() == {one["name"] for one in exported["__inputs"]}
    inputs = {f"${{{name}}}": value for name, value in given.items()}
    rest = {key: value for key, value in exported.items() if key != "__inputs"}

    def evaluate(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: evaluate(item) for key, item in value.items()}
        if isinstance(value, list):
            return [evaluate(item) for item in value]
        if isinstance(value, str):
            return re.sub(r"\$\{\w+\}", lambda match: inputs.get(match.group(), match.group()), value)
        return value

    return evaluate(rest)


def test_every_dashboard_is_exported_and_differs_only_in_what_an_import_asks_for(tmp_path: Path) -> None:
    files = export(tmp_path / "new")
    generated = {path.name: json.loads(text) for path, text in generate().items() if path.suffix == ".json"}
    assert {file.name for file in files} == set(generated)
    for file in files:
        exported = json.loads(file.read_text())
        source, *addresses = exported["__inputs"]
        assert (source["type"], source["pluginId"]) == ("datasource", "prometheus")
        asked = [(address["type"], address["value"]) for address in addresses]
        original = generated[file.name]
        constants = [v for v in original["templating"]["list"] if v["type"] == "constant"]
        assert asked == [("constant", "http://127.0.0.1:9181") for _ in constants]
        given = {f"VAR_{constant['name'].upper()}": "https://rq.example.org" for constant in constants}
        found = imported(exported, DS_PROMETHEUS="mine", **given)
        for variable in found["templating"]["list"]:
            if variable["type"] == "datasource":
                assert variable.pop("current") == {"selected": False, "text": "mine", "value": "mine"}
            if variable["type"] == "constant":
                assert variable.pop("current")["value"] == variable.pop("query") == "https://rq.example.org"
        original["templating"]["list"][0].pop("current")
        for constant in constants:
            del constant["current"], constant["query"]
        added = {key: found.pop(key) for key in ("__elements", "__requires", "id")}
        assert found == original
        assert added["id"] is None
        needed = {(one["type"], one["id"]) for one in added["__requires"]}
        panels = {("panel", p["type"]) for p in original["panels"] if p["type"] != "row"}
        assert needed == {("grafana", "grafana"), ("datasource", "prometheus"), *panels}


def test_panels_inside_rows_are_required_too() -> None:
    row = {"type": "row", "panels": [{"type": "heatmap"}]}
    exported = importable({"panels": [row], "templating": {"list": []}})
    assert [one["name"] for one in exported["__requires"] if one["type"] == "panel"] == [
        PANEL_NAMES["heatmap"]
    ]


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path)])
    assert str(tmp_path / "rq-dashboard.json") in capsys.readouterr().out.splitlines()
