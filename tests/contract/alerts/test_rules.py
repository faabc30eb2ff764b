"""Every rule asks for what the exporter serves and other rules record, and says what an alert has to say."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest

from dashboards.alerts import objectives as objective_rules
from dashboards.alerts import recording
from dashboards.alerts.files import ALERTS, rule_files
from dashboards.alerts.model import Alert
from dashboards.lint.promql import uses
from rqmon import objectives
from rqmon.metrics import METRICS
from rqmon.objectives import Objective, Objectives
from scheduler.config import DEFAULT_JOB_BUCKETS_SECONDS
from tests import ROOT

OWN = objectives.read()
RECORDED = [
    *(rule for group in recording.groups() for rule in group.rules),
    *objective_rules.recordings(OWN),
]
RULES = [*RECORDED, *ALERTS]
# What each series has, beside what a scrape adds.
LABELS = {rule.record: {*rule.labels.split(", ")} for rule in RECORDED}
for metric in METRICS:
    for sample in metric.samples:
        LABELS[sample] = {*metric.labels, "job", "instance", "redis"}
        if sample.endswith("_bucket"):
            LABELS[sample].add("le")


def name_of(rule: Any) -> str:
    return rule.name if isinstance(rule, Alert) else rule.record


def selectors(node: Any) -> Iterator[Any]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for part in ("expr", "lhs", "rhs", "vector_selector"):
        if hasattr(node, part):
            yield from selectors(getattr(node, part))
    for argument in getattr(node, "args", ()):
        yield from selectors(argument)


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_every_selector_is_of_a_metric_or_a_record_and_has_the_labels_it_asks_for(rule):
    tree = promql_parser.parse(rule.expr)
    found = list(selectors(tree))
    assert [each.name for each in found] == [use.sample for use in uses(tree)]
    for selector in found:
        assert selector.name in LABELS
        assert {matcher.name for matcher in selector.matchers.matchers} <= LABELS[selector.name]
    grouped = re.findall(r"(?:by|on) \(([^)]*)\)", rule.expr)
    known = set().union(*(LABELS[each.name] for each in found)) if found else set()
    joined = set(re.findall(r'label_(?:join|replace)\([^"]*"(\w+)"', rule.expr)) | set(
        re.findall(r', "(\w+)", "', rule.expr)
    )
    assert {label for labels in grouped for label in labels.split(", ") if label} <= known | joined


@pytest.mark.parametrize("rule", RECORDED, ids=name_of)
def test_a_record_says_level_metric_and_operation(rule):
    assert re.fullmatch(r"(redis|queue|queue_function):rq_\w+:\w+", rule.record)


def test_a_record_is_there_before_it_is_asked_for_or_a_step_old():
    names = [rule.record for rule in RECORDED]
    assert len(set(names)) == len(names)
    # Every record is used by a rule, or is one that dashboards may ask.
    asked = {use.sample for rule in RULES for use in uses(promql_parser.parse(rule.expr))}
    unused = {name for name in names if name not in asked}
    assert unused == {
        "queue:rq_jobs_failed:ratio_rate5m",
        *(f"queue:rq_job_{what}_seconds:p{p}_rate5m" for what in ("wait", "run") for p in (50, 95)),
    }


@pytest.mark.parametrize("alert", ALERTS, ids=name_of)
def test_every_alert_says_how_bad_it_is_and_where_to_look(alert):
    assert re.fullmatch(r"RQ([A-Z]+[a-z]*)+", alert.name)
    assert alert.summary
    assert not alert.summary.endswith(".")
    assert alert.description.endswith(".")
    assert alert.fault.endswith(".")
    path = ROOT / f"monitoring/grafana/dashboards/{alert.dashboard}.json"
    dashboard = json.loads(path.read_text())
    assert alert.panel in {panel["title"] for panel in dashboard["panels"]}
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert {*alert.chosen, "redis"} <= variables
    # What it takes labels from is there to be taken.
    named = set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.description)) | set(alert.chosen)
    known = {"job", "integration", "kind"}
    for selector in selectors(promql_parser.parse(alert.expr)):
        known |= LABELS[selector.name]
    assert named <= known


def test_alerts_that_wait_for_their_window_need_no_time_of_their_own():
    at_once = {alert.name for alert in ALERTS if not alert.for_seconds}
    assert at_once == {
        "RQRedisEvicting",
        "RQJobsAbandoned",
        "RQHorsesKilled",
        "RQCronMissed",
        "RQCronLate",
        "RQCronOverlapping",
    }


def test_every_objective_is_a_bound_that_is_counted_by_default():
    for objective in (OWN.default, *OWN.queues.values()):
        assert objective.wait_seconds in DEFAULT_JOB_BUCKETS_SECONDS


def test_a_queue_s_name_is_quoted_whatever_it_is():
    odd = 'a"b\\c{}, x="1'
    promise = Objective(wait_seconds=30, wait_share=0.9, error_share=0.1)
    for rule in objective_rules.recordings(Objectives(promise, {odd: promise})):
        for selector in selectors(promql_parser.parse(rule.expr)):
            for matcher in selector.matchers.matchers:
                assert matcher.name != "queue" or matcher.value == odd


def test_what_is_committed_is_what_is_generated():
    for name, text in rule_files(OWN).items():
        assert (ROOT / "monitoring/prometheus" / name).read_text() == text
