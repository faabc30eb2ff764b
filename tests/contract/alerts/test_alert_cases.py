"""Every alert fires on its fault, is silent at its edge, and without its data something else says so.

By the promtool of every version that this machine has. Of what fires for one cause Alertmanager tells once.
"""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from dashboards.alerts.files import ALERTS, rule_files
from rqmon import objectives
from rqmon.stack.receivers import alertmanager_config
from tests.alert_cases import cron, jobs, limits, objectives_burn, queues, redis_server, stack, workers
from tests.alert_cases.case import ALWAYS, Fires, Missing, Silent, as_promtool

TOPICS = {
    module.__name__.rpartition(".")[2]: module.CASES
    for module in (stack, redis_server, queues, jobs, workers, cron, limits, objectives_burn)
}
CASES = [case for cases in TOPICS.values() for case in cases]
# Where `.ci/run` extracts newer ones.
NEWER = "/var/tmp/rqmon-promtool"
TOOLS = {
    "system": shutil.which("promtool") or "promtool",
    "trixie": f"{NEWER}/trixie/usr/bin/promtool",
    "sid": f"{NEWER}/sid/usr/bin/promtool",
}
EXPECTED = objectives.Objectives(
    objectives.Objective(wait_seconds=30, wait_share=0.99, error_share=0.02),
    {"long": objectives.Objective(wait_seconds=300, wait_share=0.9, error_share=0.02)},
)


def promtool(which: str, *arguments: object) -> str:
    if not Path(TOOLS[which]).exists():
        pytest.skip(f"no promtool of {which}: .ci/extract {NEWER}/{which} {which} promtool")
    done = subprocess.run(
        [TOOLS[which], *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rules(tmp_path_factory) -> list[Path]:
    """The rules with the objectives of these tests, whatever people promise."""
    folder = tmp_path_factory.mktemp("rules")
    paths = []
    for name, text in rule_files(EXPECTED).items():
        paths.append(folder / name)
        paths[-1].parent.mkdir(exist_ok=True)
        paths[-1].write_text(text)
    return sorted(paths, reverse=True)  # what is recorded comes first


@pytest.mark.parametrize("which", TOOLS)
@pytest.mark.parametrize("topic", TOPICS)
def test_every_case_holds(topic, which, rules, tmp_path):
    groups = [group["name"] for path in rules for group in yaml.safe_load(path.read_text())["groups"]]
    by_step = defaultdict(list)
    for case in TOPICS[topic]:
        by_step[case.step] += as_promtool(case)
    for step, tests in by_step.items():
        document = {
            "rule_files": [str(path) for path in rules],
            "evaluation_interval": f"{step}s",
            "group_eval_order": groups,
            "tests": tests,
        }
        (tmp_path / f"{step}.yml").write_text(yaml.safe_dump(document, sort_keys=False))
    promtool(which, "test", "rules", *tmp_path.glob("*.yml"))


@pytest.mark.parametrize("which", TOOLS)
def test_the_rules_pass_prometheus_s_own_lint(which, rules):
    promtool(which, "check", "rules", "--lint=all", "--lint-fatal", *rules)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_has_a_case_that_fires_and_one_that_is_silent(alert):
    kinds = {type(case) for case in CASES if case.alert == alert.name}
    assert Fires in kinds
    # A watchdog that is silent has failed. Without data the others have what Case makes of one that fires.
    assert (Missing if alert.name == ALWAYS else Silent) in kinds


def test_no_case_is_about_an_alert_that_does_not_exist():
    assert {case.alert for case in CASES} == {alert.name for alert in ALERTS}


ALERTMANAGER = alertmanager_config({}, log_url="http://127.0.0.1/")


def _matches(matchers: list[str], labels: dict[str, str]) -> bool:
    for matcher in matchers:
        name, how, value = re.fullmatch(r'(\w+)\s*(=~|!~|!=|=)\s*"(.*)"', matcher).groups()
        found = labels.get(name, "")
        is_it = re.fullmatch(value, found) is not None if "~" in how else found == value
        if is_it == how.startswith("!"):
            return False
    return True


def _inhibited(target: dict[str, str], sources: list[dict[str, str]]) -> bool:
    return any(
        _matches(rule["target_matchers"], target)
        and _matches(rule["source_matchers"], source)
        and all(source.get(name, "") == target.get(name, "") for name in rule["equal"])
        for rule in ALERTMANAGER["inhibit_rules"]
        for source in sources
        if source != target
    )


@pytest.mark.parametrize(
    "case", [c for c in CASES if isinstance(c, Fires)], ids=lambda case: f"{case.alert} {case.at}"
)
def test_one_cause_is_told_once(case):
    firing = [each.all_labels for each in (case, *case.also)]
    told = [labels["alertname"] for labels in firing if not _inhibited(labels, firing)]
    assert told == [case.alert]
