"""A copy of the project whose rules are scaled, for a stack to run from."""

import json
import os
import shutil
import sys
from pathlib import Path

import yaml

from dashboards.alerts.files import rule_files
from dashboards.drills.receiver import WATCHDOG_PATH
from dashboards.drills.scaled import SCRAPES, scaled_objectives, scaled_rules
from dashboards.paths import ROOT
from rqmon import objectives
from rqmon.stack.receivers import WEBHOOK

_COPIED = ("scheduler", "rqmon", "dashboards", "monitoring", "requirements", "Makefile", "pyproject.toml")
_PROMETHEUS = "monitoring/prometheus"
# Every `rqmon start` writes Alertmanager's configuration anew, so the copy's own has to be scaled.
_SCALED_RECEIVERS = """

from dashboards.drills.scaled import scaled_alertmanager

_unscaled = alertmanager_config


def alertmanager_config(*args, **options):
    return scaled_alertmanager(_unscaled(*args, **options), watchdog_url={watchdog_url!r})
"""


def copy_project(folder: Path, *, receiver_url: str) -> None:
    """Copy what a stack and the runbooks' commands need, with scaled rules; alerts are told to the URL."""
    for name in [*_COPIED, *(path.name for path in ROOT.glob("*.py"))]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    # make must not take the packages for older than what asks for them, and install the copy instead.
    for path in (folder / "pyproject.toml", *(folder / "requirements").iterdir()):
        os.utime(path, (0, 0))
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / ".env").write_text(f"{WEBHOOK}={receiver_url}\n")
    for name, text in rule_files(scaled_objectives(objectives.read())).items():
        _write(folder / _PROMETHEUS / name, scaled_rules(yaml.safe_load(text)))
    prometheus = yaml.safe_load((ROOT / _PROMETHEUS / "prometheus.yml").read_text())
    prometheus["global"] |= SCRAPES
    _write(folder / _PROMETHEUS / "prometheus.yml", prometheus)
    with (folder / "rqmon/stack/receivers.py").open("a") as module:
        module.write(_SCALED_RECEIVERS.format(watchdog_url=f"{receiver_url}{WATCHDOG_PATH}"))


def _write(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=1))  # JSON is YAML too
