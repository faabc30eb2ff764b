"""The normaliser: panels' places and ids, and that none of grafanalib's outdated forms is left."""

import json
from pathlib import Path
from typing import Any

import pytest
from grafanalib import core

from dashboards.__main__ import generate, main
from dashboards.kit import panels, theme
from dashboards.kit.links import QUEUED
from dashboards.kit.render import render
from dashboards.paths import DASHBOARDS, METRICS_PAGE


def rendered(*items: core.Panel) -> list[dict[str, Any]]:
    return json.loads(render(core.Dashboard(title="Test", uid="test", panels=list(items))))["panels"]


def stat(title: str) -> core.Stat:
    return panels.stat(
        title, "Means.", {"A": "up"}, unit="short", thresholds=theme.steps("red", (1, "green"))
    )


def test_panels_flow_from_left_to_right_and_under_the_tallest_of_a_line() -> None:
    wide = panels.timeseries("Wide", "Means.", {"A": "up"}, unit="s", width=18)
    found = rendered(panels.row("Row"), stat("One"), wide, stat("Two"))
    assert [tuple(panel["gridPos"][key] for key in "xywh") for panel in found] == [
        (0, 0, 24, 1),
        (0, 1, 4, 4),
        (4, 1, 18, 8),
        (0, 9, 4, 4),
    ]


def test_an_id_stays_when_panels_move() -> None:
    before = {panel["title"]: panel["id"] for panel in rendered(stat("One"), stat("Two"))}
    after = {panel["title"]: panel["id"] for panel in rendered(stat("Zero"), stat("Two"), stat("One"))}
    assert before.items() <= after.items()


def test_two_panels_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="'Same' and 'Same' get the same id"):
        rendered(stat("Same"), stat("Same"))


def test_a_stat_keeps_its_thresholds_which_grafanalib_writes_as_text() -> None:
    [panel] = rendered(stat("One"))
    assert panel["fieldConfig"]["defaults"]["thresholds"] == {
        "mode": "absolute",
        "steps": [{"color": "red", "value": 0}, {"color": "green", "value": 1}],
    }


def test_a_gauge_reduces_by_its_options_as_grafana_reads_them() -> None:
    [panel] = rendered(panels.gauge("Busy", "Means.", {"A": "up"}, thresholds=theme.steps("green")))
    assert panel["options"]["reduceOptions"] == {"calcs": ["last"], "fields": "", "values": False}
    assert panel["fieldConfig"]["defaults"]["max"] == 1
    assert "calcs" not in panel["fieldConfig"]["defaults"]


def test_a_bar_gauge_has_field_config_instead_of_field_options() -> None:
    [panel] = rendered(panels.shares("Shares", "Means.", {"A": "up"}, colors={"A": "blue"}))
    assert "fieldOptions" not in panel["options"]
    assert panel["fieldConfig"]["defaults"]["unit"] == "percentunit"
    assert panel["fieldConfig"]["overrides"][0]["matcher"] == {"id": "byName", "options": "A"}


def test_a_tables_columns_are_named_after_its_queries() -> None:
    [panel] = rendered(
        panels.table(
            "Table",
            "Means.",
            {"Up": "up", "Down": "1 - up"},
            labels={"job": "Job"},
            width=12,
            overrides=[],
            sort="Up",
        )
    )
    organize = panel["transformations"][1]["options"]
    assert organize["renameByName"] == {"job": "Job", "Value #A": "Up", "Value #B": "Down"}
    assert organize["indexByName"] == {"job": 0, "Value #A": 1, "Value #B": 2}
    assert [(t["format"], t["instant"], t["range"]) for t in panel["targets"]] == [("table", True, False)] * 2


def test_a_heatmap_reads_the_histograms_own_buckets() -> None:
    [panel] = rendered(panels.heatmap("Run times", "Means.", "sum by (le) (up)", unit="s"))
    [target] = panel["targets"]
    assert (target["format"], target["legendFormat"]) == ("heatmap", "{{le}}")
    assert (panel["options"]["calculate"], panel["options"]["yAxis"]["unit"]) == (False, "s")


def test_a_series_and_a_row_lead_to_their_queue() -> None:
    series = panels.timeseries("Lines", "Means.", {"A": "up"}, unit="s", width=12, link=QUEUED)
    rows = panels.table(
        "Table",
        "Means.",
        {"Up": "up"},
        labels={"queue": "Queue"},
        width=12,
        overrides=[],
        link=QUEUED,
        sort="Up",
    )
    of_series, of_rows = rendered(series, rows)
    assert of_series["fieldConfig"]["defaults"]["links"] == [QUEUED.of_series()]
    assert of_rows["fieldConfig"]["overrides"] == [QUEUED.of_column("Queue")]
    assert of_rows["options"]["sortBy"] == [{"displayName": "Up", "desc": True}]


def test_the_value_of_a_single_query_has_no_letter() -> None:
    [panel] = rendered(
        panels.table(
            "Table", "Means.", {"Up": "up"}, labels={"job": "Job"}, width=12, overrides=[], sort="Up"
        )
    )
    assert panel["transformations"][1]["options"]["renameByName"] == {"job": "Job", "Value": "Up"}


def written(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_writing_twice_gives_the_same_bytes_and_no_drift(tmp_path: Path) -> None:
    main([], root=tmp_path)
    first = written(tmp_path)
    main([], root=tmp_path)
    assert written(tmp_path) == first
    assert first.keys() == {path.name for path in generate()}
    assert first["rq-dashboard.json"].endswith(b"}\n")
    main(["--check"], root=tmp_path)


def _edit(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("e", "E", 1), encoding="utf-8")


def _add(path: Path) -> None:
    path.with_name("other.json").write_text("{}", encoding="utf-8")


DASHBOARD = DASHBOARDS / "rq-dashboard.json"


@pytest.mark.parametrize(
    ("change", "changed", "named", "reason"),
    [
        (_edit, DASHBOARD, DASHBOARD, "differs from what its source generates"),
        (_edit, METRICS_PAGE, METRICS_PAGE, "differs from what its source generates"),
        (Path.unlink, DASHBOARD, DASHBOARD, "missing"),
        (Path.unlink, METRICS_PAGE, METRICS_PAGE, "missing"),
        (_add, DASHBOARD, DASHBOARDS / "other.json", "nothing generates it; delete it"),
    ],
)
def test_the_check_names_each_drifted_file(
    tmp_path: Path, change: Any, changed: Path, named: Path, reason: str
) -> None:
    main([], root=tmp_path)
    change(tmp_path / changed)
    before = written(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["--check"], root=tmp_path)
    assert stopped.value.code == f"{tmp_path / named}: {reason}\nRun make dashboards."
    assert written(tmp_path) == before, "--check wrote something"


def test_generating_is_a_function_of_the_source_alone() -> None:
    assert generate() == generate()
