"""The rules of a drill: every time a sixtieth, but for signs of life."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from dashboards.alerts.files import rule_files
from dashboards.drills.project_copy import copy_project
from dashboards.drills.scaled import scaled_alertmanager, scaled_expr, scaled_objectives, scaled_rules
from rqmon import objectives
from rqmon.metrics import WATCHDOG
from rqmon.stack.receivers import WEBHOOK, alertmanager_config
from scheduler.config import DEFAULT_JOB_BUCKETS_SECONDS

RULES = [
    rule
    for text in rule_files(scaled_objectives(objectives.read())).values()
    for group in scaled_rules(yaml.safe_load(text))["groups"]
    for rule in group["rules"]
]


@pytest.mark.parametrize(
    ("expr", "scaled"),
    [
        ("rate(a[5m])", "rate(a[5000ms])"),
        ("a offset 1h", "a offset 60000ms"),
        (
            "avg_over_time((a:b:rate1h > bool 0)[1d:5m])",
            "avg_over_time((a:b:rate1h > bool 0)[1440000ms:5000ms])",
        ),
        ("a_seconds > 300", "a_seconds > 5"),
        ("time() - a_timestamp_seconds > 60", "time() - a_timestamp_seconds > 1"),
        (
            'avg_over_time(scrape_duration_seconds{job="a"}[5m]) > 1',
            'avg_over_time(scrape_duration_seconds{job="a"}[5000ms]) > 0.125',
        ),
        ("sum(rate(a[15m])) * 900 >= 20", "sum(rate(a[15000ms])) * 15 >= 20"),
        ("a > 14.4 and b >= 20", "a > 14.4 and b >= 20"),
    ],
)
def test_times_are_divided_and_nothing_else(expr, scaled):
    assert scaled_expr(expr) == scaled


def test_no_rule_keeps_a_time_of_minutes():
    for rule in RULES:
        if rule.get("alert") == WATCHDOG:
            continue
        times = f"{rule.get('for', '')} {rule.get('keep_firing_for', '')}"
        if "rq_workers_stale" not in rule["expr"]:
            times += re.sub(r'"[^"]*"|\w*:[\w:]*', "", rule["expr"])
        assert not re.search(r"\b\d+[smhd]\b", times), rule


def test_objectives_stay_bounds_of_the_histograms():
    scaled = scaled_objectives(objectives.read())
    for objective in (scaled.default, *scaled.queues.values()):
        assert objective.wait_seconds in DEFAULT_JOB_BUCKETS_SECONDS


def test_alertmanager_tells_everything_within_seconds():
    config = scaled_alertmanager(
        alertmanager_config({WEBHOOK: "http://127.0.0.1:1"}, log_url="http://127.0.0.1:2"),
        watchdog_url="http://127.0.0.1:1/watchdog",
    )
    assert config["route"]["group_wait"] == "1s"
    assert all(receiver["webhook_configs"] for receiver in config["receivers"])


def test_every_start_of_the_copy_writes_scaled_times(tmp_path):
    copy_project(tmp_path, receiver_url="http://127.0.0.1:1")
    program = (
        "import json\n"
        "from rqmon.stack.native import files\n"
        "print(json.dumps(files.alertmanager_config({}, log_url='http://127.0.0.1:2')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    written = json.loads(done.stdout)
    assert written["route"]["group_wait"] == "1s"
    [watchdog] = [receiver for receiver in written["receivers"] if receiver["name"] == "watchdog"]
    assert watchdog["webhook_configs"][0]["url"] == "http://127.0.0.1:1/watchdog"
