"""The committed Prometheus and Alertmanager files, judged by their own tools."""

import re
import shutil
import subprocess

import pytest
import yaml

from tests import ROOT

PROMETHEUS = ROOT / "monitoring/prometheus"
ALERTS = [
    rule
    for path in sorted(PROMETHEUS.glob("alerts/*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]


def run(program, *arguments):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH; install the system's prometheus and prometheus-alertmanager")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_and_the_rules_it_names_are_valid():
    output = run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    assert "rule files found" in output


def test_alertmanager_accepts_its_configuration():
    assert "SUCCESS" in run("amtool", "check-config", PROMETHEUS / "alertmanager.yml")


@pytest.mark.parametrize("path", sorted(PROMETHEUS.glob("tests/*.yml")), ids=lambda path: path.name)
def test_alerts_fire_and_stay_silent_as_they_should(path):
    assert "SUCCESS" in run("promtool", "test", "rules", path)


def test_every_alert_is_tested_both_ways():
    cases = [
        case
        for path in PROMETHEUS.glob("tests/*.yml")
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    for alert in ALERTS:
        mine = [case for case in cases if case["alertname"] == alert["alert"]]
        assert any(case["exp_alerts"] for case in mine), f"{alert['alert']} has no test that fires"
        assert any(not case["exp_alerts"] for case in mine), f"{alert['alert']} has no test that stays silent"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_how_bad_it_is_and_what_to_do(alert):
    assert re.fullmatch(r"([A-Z]+[a-z]*)+", alert["alert"])
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["for"]
    annotations = alert["annotations"]
    assert annotations["summary"]
    assert annotations["description"]
    uid = re.fullmatch(
        r'\{\{ or \$externalLabels\.dashboards "http://127\.0\.0\.1:4000" \}\}/d/([a-z-]+)',
        annotations["dashboard_url"],
    )[1]
    assert (ROOT / f"monitoring/grafana/dashboards/{uid}.json").exists()
    path, _, anchor = annotations["runbook_url"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / path).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_scrapes_end_before_the_next_begins():
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["global"]
    assert config["scrape_interval"] == "5s"
    assert int(config["scrape_timeout"].rstrip("s")) < int(config["scrape_interval"].rstrip("s"))


def test_every_job_has_its_targets_in_a_file_named_after_it():
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    for job in config["scrape_configs"]:
        (file,) = job["file_sd_configs"][0]["files"]
        assert file == f"targets/{job['job_name']}.yml"
        (target,) = yaml.safe_load((PROMETHEUS / file).read_text())
        assert target["labels"] == {"instance": job["job_name"]}


def test_nothing_is_sent_out_by_default():
    config = yaml.safe_load((PROMETHEUS / "alertmanager.yml").read_text())
    assert config["receivers"] == [{"name": "nowhere"}]
    assert config["route"]["receiver"] == "nowhere"
