"""The committed files of Prometheus, judged by its own tool."""

import shutil
import subprocess

import pytest
import yaml

from tests import ROOT

PROMETHEUS = ROOT / "monitoring/prometheus"


def run(program, *arguments):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH; install the system's prometheus")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_and_the_rules_it_names_are_valid():
    output = run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    assert "rule files found" in output


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
