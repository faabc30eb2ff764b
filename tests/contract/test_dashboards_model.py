"""The committed dashboards are current, complete, and readable by Grafana's own model."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from redis import Redis
from rq import Queue, Worker
from rq_exporter.collector import RQCollector

from dashboards.alerts.files import recorded
from dashboards.alerts.model import Recording
from dashboards.paths import DASHBOARDS, ROOT
from rqmon import objectives
from rqmon.metrics import ALERTS, ALERTS_FOR_STATE, METRICS

RECORDED = {
    rule.record: rule.labels.split(", ")
    for group in recorded(objectives.read())
    for rule in group.rules
    if isinstance(rule, Recording)
}
GRAFANA = (ROOT / DASHBOARDS).parent
FILES = sorted((ROOT / DASHBOARDS).glob("*.json"))
TITLES = {
    "rq-cron": "RQ Cron & scheduled",
    "rq-dashboard": "RQ Dashboard",
    "rq-jobs": "RQ Jobs",
    "rq-limits": "RQ Limits & retries",
    "rq-monitoring": "RQ Monitoring itself",
    "rq-queues": "RQ Queues",
    "rq-redis": "RQ Redis",
    "rq-workers": "RQ Workers",
}
VARIABLES = ("datasource", "redis", "queue", "function", "rq_dashboard")
# No panel there asks by queue or function, or leads to a queue's jobs.
_OF_NO_QUEUE = ("queue", "function", "rq_dashboard")
CHANGES_NOTHING = {"rq-monitoring": _OF_NO_QUEUE, "rq-redis": _OF_NO_QUEUE, "rq-workers": ("function",)}
PANEL_TYPES = {"bargauge", "gauge", "heatmap", "row", "stat", "state-timeline", "table", "timeseries"}
# Parts of Grafana 13.2.2 that the SDK lacks: its releases model Grafana 10.1 (which resolvers take for the
# newest) to 11.6 (which knows all but the gauge's own options).
_BARS = ("maxVizHeight", "minVizHeight", "minVizWidth", "sizing")
_GAUGE = ("barShape", "barWidthFactor", "effects", "endpointMarker", "segmentCount", "segmentSpacing")
NEWER_THAN_SDK = {
    *("annotations.list.builtIn", "annotations.list.titleFormat", "preload"),
    "panels[timeseries].fieldConfig.defaults.custom.axisBorderShow",
    *(f"panels[bargauge].options.{key}" for key in ("legend", "namePlacement", *_BARS)),
    *(f"panels[gauge].options.{key}" for key in ("shape", "sparkline", "textMode", *_BARS, *_GAUGE)),
    "panels[heatmap].options.legend.placement",
    *(f"panels[stat].options.{key}" for key in ("percentChangeColorMode", "showPercentChange", "wideLayout")),
    "panels[state-timeline].options.perPage",
}


@pytest.fixture(params=TITLES)
def uid(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(uid: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / DASHBOARDS / f"{uid}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture
def panels(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in model["panels"] if panel["type"] != "row"]


def test_there_are_dashboards() -> None:
    assert [path.stem for path in FILES] == list(TITLES)


def test_the_committed_files_are_current() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "dashboards", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (check.returncode, check.stderr) == (0, "")


def test_the_dashboard_opens_as_agreed(uid: str, model: dict[str, Any]) -> None:
    assert (model["uid"], model["title"]) == (uid, TITLES[uid])
    assert (model["refresh"], model["time"], model["timezone"], model["graphTooltip"]) == (
        "10s",
        {"from": "now-30m", "to": "now"},
        "browser",
        1,
    )
    names = [variable["name"] for variable in model["templating"]["list"]]
    assert names == [name for name in VARIABLES if name not in CHANGES_NOTHING.get(uid, ())]
    if "rq_dashboard" not in CHANGES_NOTHING.get(uid, ()):
        assert model["templating"]["list"][-1] == {
            "current": {"text": "http://127.0.0.1:9181", "value": "http://127.0.0.1:9181"},
            "hide": 2,
            "label": "Address of rq-dashboard",
            "name": "rq_dashboard",
            "query": "http://127.0.0.1:9181",
            "skipUrlSync": True,
            "type": "constant",
        }


def test_grafanas_model_reads_it_and_loses_nothing(model: dict[str, Any]) -> None:
    register_default_plugins()
    back = json.loads(JSONEncoder().encode(Dashboard.from_json(model)))
    assert set(_lost(model, back)) <= NEWER_THAN_SDK


def _lost(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Return dotted paths that `theirs` lacks or that differ; `[type]` is a panel's type, not an index."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            inner = f"{path}.{key}".lstrip(".")
            if key in theirs:
                yield from _lost(value, theirs[key], inner)
            else:
                yield inner
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for mine, other in zip(ours, theirs, strict=True):
            yield from _lost(mine, other, f"{path}[{mine['type']}]" if path == "panels" else path)
    elif ours != theirs:
        yield f"{path}: {ours!r} became {theirs!r}"


def test_every_panel_says_what_it_shows_and_what_to_do(panels: list[dict[str, Any]]) -> None:
    for panel in panels:
        assert panel["title"], panel
        assert len(panel["description"]) > 40, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert panel["targets"], panel["title"]


def test_every_query_asks_the_chosen_data_source_and_has_a_legend(panels: list[dict[str, Any]]) -> None:
    for panel in panels:
        ref_ids = [target["refId"] for target in panel["targets"]]
        assert len(set(ref_ids)) == len(ref_ids), panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"], panel["title"]
            assert target["expr"], panel["title"]
            assert target["legendFormat"], panel["title"]


def test_rates_follow_the_step_except_in_single_numbers_about_now(panels: list[dict[str, Any]]) -> None:
    windows = {
        (panel["type"], window)
        for panel in panels
        for target in panel["targets"]
        for window in re.findall(r"\[([^\]]+)\]", target["expr"])
    }
    assert windows <= {
        *((kind, "$__rate_interval") for kind in ("heatmap", "state-timeline", "timeseries")),
        # How far back the value may be that a step is compared with.
        *((kind, "1h") for kind in ("heatmap", "state-timeline", "timeseries")),
        *((kind, "5m") for kind in ("gauge", "stat", "table")),
        ("stat", "1h"),
        *((kind, "$__range") for kind in ("stat", "table")),
    }


def test_what_looks_back_over_the_whole_range_is_asked_once(panels: list[dict[str, Any]]) -> None:
    for panel in panels:
        for target in panel["targets"]:
            assert target["instant"] or "[$__range]" not in target["expr"], panel["title"]


def test_queries_name_only_metrics_of_the_catalog(panels: list[dict[str, Any]]) -> None:
    known = {sample for metric in METRICS for sample in metric.samples} | RECORDED.keys()
    used = set()
    for panel in panels:
        for target in panel["targets"]:
            bare = re.sub(r'"[^"]*"', '""', target["expr"])
            used |= set(
                re.findall(
                    r"\b((?:(?:(?:queue|redis):)?(?:rq|prometheus|scrape)_[\w:]+|up|ALERTS)\b)(?!\s*=)", bare
                )
            )
    assert used <= known


def test_queries_and_legends_name_only_labels_that_the_metrics_have(panels: list[dict[str, Any]]) -> None:
    for panel in panels:
        for target in panel["targets"]:
            bare = re.sub(r'"[^"]*"', '""', target["expr"])
            metrics = [m for m in METRICS if any(re.search(rf"\b{s}\b", bare) for s in m.samples)]
            known = {label for metric in metrics for label in metric.labels}
            known |= {"redis", "job", "alertname", "alertstate", "group", "instance"}
            known |= {"le"} if "_bucket" in bare else set()
            known |= {label for record in RECORDED if record in bare for label in RECORDED[record]}
            # An alert has labels of its own, and a row of it those that say where and what.
            if any(metric in (ALERTS, ALERTS_FOR_STATE) for metric in metrics):
                known |= {"queue", "entry", "where", "dashboard", "runbook"}
            kept = {
                label
                for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", bare)
                for label in labels.split(", ")
            }
            kept.discard("")  # as in "by ()"
            matched = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", bare))
            assert kept | matched <= known, f"{panel['title']}: {kept | matched - known}"
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert shown <= kept, f"{panel['title']}: its legend names a label that its query drops"
            if panel["type"] == "table":
                columns = panel["transformations"][1]["options"]["renameByName"]
                outermost = re.findall(r"\bby \(([^)]*)\)", bare)[:1]
                assert columns.keys() >= {label for by in outermost for label in by.split(", ")} - {"le"}


def test_panels_fit_the_grid_and_do_not_overlap(model: dict[str, Any]) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in model["panels"]]
    for title, place in places:
        assert place["x"] >= 0, title
        assert place["x"] + place["w"] <= 24, title
    for (one, a), (other, b) in combinations(places, 2):
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart_x or apart_y, f"{one} covers {other}"


def test_ids_are_unique_and_no_panel_is_of_a_kind_grafana_dropped(model: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in model["panels"]]
    assert len(set(ids)) == len(ids)
    assert {panel["type"] for panel in model["panels"]} <= PANEL_TYPES


def test_nothing_is_null(model: dict[str, Any]) -> None:
    assert "null" not in re.sub(r'"(?:[^"\\]|\\.)*"', '""', json.dumps(model))


def test_the_catalog_is_what_the_exporter_really_serves(redis_connection: Redis) -> None:
    queue = Queue("short", connection=redis_connection)
    queue.enqueue(os.getcwd)
    Worker([queue], connection=redis_connection).register_birth()
    served = {}
    collector = RQCollector(redis_connection)
    for family in [*collector.collect(), *collector.summary.collect()]:
        suffix = "_total" if family.type == "counter" else ""
        samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
        served[family.name + suffix] = (
            family.type,
            {label for sample in samples for label in sample.labels},
            {sample.name for sample in samples},
        )
    catalog = {m.name: (m.type, set(m.labels), set(m.samples)) for m in METRICS if m.source == "rq-exporter"}
    assert catalog == served


def _provisioning(path: str) -> Any:
    return yaml.safe_load((GRAFANA / "provisioning" / path).read_text(encoding="utf-8"))


def test_the_data_source_is_the_one_the_dashboards_choose_by_default(model: dict[str, Any]) -> None:
    [source] = _provisioning("datasources/prometheus.yml")["datasources"]
    assert (source["uid"], source["url"], source["isDefault"], source["editable"]) == (
        "prometheus",
        "$PROMETHEUS_URL",
        True,
        False,
    )
    assert model["templating"]["list"][0]["current"]["value"] == source["uid"]
    assert source["jsonData"]["timeInterval"] == "5s"


def test_grafana_loads_the_dashboards_read_only_from_where_the_stack_says() -> None:
    [provider] = _provisioning("dashboards/rq.yml")["providers"]
    assert (provider["folder"], provider["options"]["path"]) == ("RQ", "$GF_RQ_DASHBOARDS_PATH")
    assert (provider["allowUiUpdates"], provider["disableDeletion"]) == (False, True)
