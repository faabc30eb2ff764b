"""Every metric of the catalog is shown on a panel or watched by a rule: a metric nobody sees is noise."""

import json
import re

import pytest
import yaml

from dashboards.paths import DASHBOARDS, ROOT
from rqmon.metrics import METRICS, Metric

PROMETHEUS = ROOT / "monitoring/prometheus"
ON_PANELS = [
    target["expr"]
    for path in sorted((ROOT / DASHBOARDS).glob("*.json"))
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
    for target in panel.get("targets", [])
]
IN_RULES = [
    rule["expr"]
    for folder in ("alerts", "rules")
    for path in sorted((PROMETHEUS / folder).glob("*.yml"))
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
# Whole names, so that `rq_workers` is not found in `rq_workers_by_state`.
USED = {name for expr in (*ON_PANELS, *IN_RULES) for name in re.findall(r"\w+", expr)}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_on_a_panel_or_in_a_rule(metric: Metric) -> None:
    assert USED.intersection(metric.samples)
