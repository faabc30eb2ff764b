"""The shape of the tree: small folders, modules that can be told apart, imports that go one way."""

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("scheduler", "rqmon", "dashboards")
MOST_MODULES, MOST_LINES = 14, 300
# file name -> why several modules of one package have it
SAME_NAME = {
    "app.py": "the web application of one program each",
    "cron.py": "the commands, and what the exporter reads of cron",
    "guard.py": "who may ask one web application each",
    "health.py": "how the stack is doing, and how cron is",
    "jobs.py": "how a job is made, and what became of jobs",
    "options.py": "the options of one program each",
    "queues.py": "the commands, and what the exporter reads of queues",
    "servers.py": "the Redis servers of one program each",
    "services.py": "the commands for the records, under the records' name",
    "workers.py": "what the dashboards show of workers, and the alerts about them",
    "views.py": "what rq-dashboard's pages show, and what a panel shows",
}
LONG = {
    "rqmon/metrics.py": "the catalog: one entry each",
}
# file -> the line that is added to it, the contract that must notice
WRONG_IMPORTS = {
    "scheduler/retry.py": ("import rqmon.metrics", "The core knows RQ and Redis"),
    "rqmon/exporter/app.py": ("import rqmon.cli.main", "nothing imports the command line"),
    "rqmon/exporter/reading/pipeline.py": ("import rqmon.exporter.app", "The exporter goes one way"),
    "rqmon/stack/services.py": ("import rqmon.stack.lifecycle", "The stack: what runs"),
    "rqmon/preview/grafana/links.py": ("import rqmon.preview.draw.units", "The preview goes one way"),
    "rqmon/doors/rules.py": ("import click", "click and rich stay under the command line"),
    "rqmon/metrics.py": ("import redis", "The catalog, the states and the thresholds"),
    "rqmon/alerting/app.py": ("import rqmon.stack.receivers", "The programs build on one another"),
    "dashboards/kit/theme.py": ("import rq", "Dashboards know metric names"),
    "dashboards/kit/links.py": ("import dashboards.boards.rq_cron", "The dashboards' generator"),
}


def modules():
    for folder in (*PACKAGES, "tests", "benchmarks"):
        yield from (ROOT / folder).rglob("*.py")


def test_no_folder_has_more_modules_than_a_reader_takes_in():
    count = defaultdict(int)
    for module in modules():
        count[str(module.parent.relative_to(ROOT))] += 1
    assert {folder: number for folder, number in count.items() if number > MOST_MODULES} == {}


def test_no_module_is_longer_than_a_reader_takes_in():
    long = {str(m.relative_to(ROOT)) for m in modules() if len(m.read_text().splitlines()) > MOST_LINES}
    assert long == set(LONG)


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_of_one_package_share_no_name_without_a_reason(package):
    names = defaultdict(list)
    for module in (ROOT / package).rglob("*.py"):
        if not module.stem.startswith("__"):
            names[module.name].append(str(module.relative_to(ROOT)))
    shared = {name: found for name, found in names.items() if len(found) > 1}
    assert {name: found for name, found in shared.items() if name not in SAME_NAME} == {}


def test_there_is_no_python_beside_the_configuration_of_other_programs():
    assert [*(ROOT / "monitoring").rglob("*.py")] == []


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports"],
        cwd=tree,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_in_the_wrong_direction_are_found(tmp_path):
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    right = lint_imports(tmp_path)
    assert right.returncode == 0, right.stdout

    for name, (line, _) in WRONG_IMPORTS.items():
        with (tmp_path / name).open("a") as module:
            module.write(f"\n{line}\n")
    wrong = lint_imports(tmp_path)
    assert wrong.returncode == 1
    broken = [line for line in wrong.stdout.splitlines() if " BROKEN" in line]
    missed = {name for name, (_, of) in WRONG_IMPORTS.items() if not any(of in line for line in broken)}
    assert missed == set()
