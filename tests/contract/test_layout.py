"""The shape of the tree: small folders, distinct module names, imports in one direction."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from scheduler.cron.store import keys
from scheduler.ledger import cron, job_scripts, jobs, rate_limits
from tests import ROOT

PACKAGES = ("scheduler", "rqmon", "dashboards")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
MOST_MODULES, MOST_LINES = 14, 300
# the modules of one package that have the same name, and why
SAME_NAME = {
    (
        "dashboards/alerts/workers.py",
        "dashboards/rows/workers.py",
    ): "alerts about workers, and panels",
    (
        "rqmon/alerting/app.py",
        "rqmon/doors/app.py",
        "rqmon/exporter/app.py",
        "rqmon/guarded_rq_dashboard/app.py",
    ): "the web application of one program each",
    ("rqmon/cli/cron.py", "rqmon/exporter/reading/cron.py"): "the commands, and what the exporter reads",
    ("rqmon/guarded_rq_dashboard/guard.py", "rqmon/preview/web/guard.py"): "who may ask one application each",
    ("rqmon/crons/health.py", "rqmon/stack/health.py"): "how cron is, and how the stack is doing",
    ("scheduler/jobs.py", "scheduler/ledger/jobs.py"): "how a job is made, and what became of jobs",
    ("rqmon/exporter/options.py", "rqmon/guarded_rq_dashboard/options.py"): "the options of one program each",
    ("rqmon/cli/queues.py", "rqmon/exporter/reading/queues.py"): "the commands, and what the exporter reads",
    ("rqmon/exporter/servers.py", "rqmon/guarded_rq_dashboard/servers.py"): "one program's servers each",
    ("rqmon/cli/services.py", "rqmon/stack/services.py"): "the commands for the records",
    ("rqmon/guarded_rq_dashboard/views.py", "rqmon/preview/draw/views.py"): "pages, and panels",
}
LONG = {
    "rqmon/metrics.py": "the catalog: one entry each",
}
# contract -> a file, and the line to add to it that the contract must notice
WRONG_IMPORTS = {
    "The core, then the programs, then the dashboards' generator": (
        "rqmon/web/hosts.py",
        "import dashboards.paths",
    ),
    "The core's modules build on one another in one direction": (
        "scheduler/errors.py",
        "import scheduler.queues",
    ),
    "The core knows RQ and Redis, and nothing that watches it": (
        "scheduler/retry.py",
        "import rqmon.metrics",
    ),
    "The programs build on one another in one direction; nothing imports the command line": (
        "rqmon/exporter/app.py",
        "import rqmon.cli.main",
    ),
    "The ledger's parts build on one another in one direction": (
        "scheduler/ledger/reading.py",
        "import scheduler.ledger.jobs",
    ),
    "The exporter goes one way: Redis, a snapshot, metric families, HTTP": (
        "rqmon/exporter/reading/pipeline.py",
        "import rqmon.exporter.app",
    ),
    "The exporter's reading goes one way: round trips, what is read of them, a snapshot": (
        "rqmon/exporter/reading/snapshot.py",
        "import rqmon.exporter.reading.reader",
    ),
    "A page is made of a snapshot alone": ("rqmon/exporter/collector.py", "import redis"),
    "Keys of the ledger and of cron have one owner each, whom the exporter asks": (
        "rqmon/exporter/reading/info.py",
        "import scheduler.cron.store.keys",
    ),
    "The stack: what runs, the ways to run it, the records of its services, and where it is": (
        "rqmon/stack/services.py",
        "import rqmon.stack.lifecycle",
    ),
    "The native stack goes one way: commands and files, supervisor, the backend": (
        "rqmon/stack/native/files.py",
        "import rqmon.stack.native.backend",
    ),
    "The doctor goes one way: Redis, facts, findings": (
        "rqmon/doctor/facts.py",
        "import rqmon.doctor.examine",
    ),
    "What is said of a job is said of what was read": ("rqmon/why/job.py", "import rqmon.why.answers"),
    "The doctor's checks read nothing": ("rqmon/doctor/checks/running.py", "import rqmon.doctor.asking"),
    "The preview goes one way: Grafana's model, drawing, pages": (
        "rqmon/preview/grafana/links.py",
        "import rqmon.preview.draw.units",
    ),
    "The dashboards' generator: kit, rows, boards, then what reads what they made": (
        "dashboards/kit/links.py",
        "import dashboards.boards.rq_cron",
    ),
    "What verifies the dashboards starts a stack, loads it and reads what the preview shows": (
        "dashboards/verify/panel_checks.py",
        "import rqmon.cli.main",
    ),
    "Drills: the program, what it breaks, one drill, the stack that it acts on": (
        "dashboards/drills/stage.py",
        "import dashboards.drills.run",
    ),
    "Drills act on a stack from outside, by its commands and processes": (
        "dashboards/drills/receiver.py",
        "import rqmon.cli.main",
    ),
    "Dashboards know metric names, neither RQ nor Redis": ("dashboards/kit/theme.py", "import rq"),
    "The catalog, the states and the thresholds know nothing but names and numbers": (
        "rqmon/metrics.py",
        "import redis",
    ),
    "grafanalib stays under dashboards": ("rqmon/thresholds.py", "import grafanalib"),
    "NiceGUI stays under the preview's pages": ("rqmon/demo/mix.py", "import nicegui"),
    "click and rich stay under the command line": ("rqmon/doors/rules.py", "import click"),
    "Only the lint parses PromQL": ("dashboards/export.py", "import promql_parser"),
}
EXHAUSTIVE = {"scheduler", "rqmon", "dashboards", "rqmon.exporter", "rqmon.preview", "rqmon.stack"}


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
    shared = {tuple(sorted(found)) for found in names.values() if len(found) > 1}
    assert shared == {paths for paths in SAME_NAME if paths[0].startswith(f"{package}/")}


@pytest.mark.parametrize("folder", [*PACKAGES, "benchmarks"])
def test_rqs_keys_are_asked_for_and_not_written_down(folder):
    written = re.compile(
        r"""["']rq:(queue|job|worker|result|finished|failed|started|scheduled|deferred|wip)"""
    )
    found = [str(m.relative_to(ROOT)) for m in (ROOT / folder).rglob("*.py") if written.search(m.read_text())]
    assert found == []


def test_one_module_says_which_registry_a_state_has():
    mapped = re.compile(r"""["']?\b(failed|FAILED\.value)["']?: FailedJobRegistry""")
    found = [str(m.relative_to(ROOT)) for m in modules() if mapped.search(m.read_text())]
    assert found == ["scheduler/queues.py"]


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

    for name, line in WRONG_IMPORTS.values():
        with (tmp_path / name).open("a") as module:
            module.write(f"\n{line}\n")
    wrong = lint_imports(tmp_path)
    assert wrong.returncode == 1
    parts = re.split(r"\n(.+)\n-+\n", wrong.stdout.partition("Broken contracts")[2])
    broken = dict(zip(parts[1::2], parts[2::2], strict=True))
    missed = {
        contract
        for contract, (name, _) in WRONG_IMPORTS.items()
        if f"{name.removesuffix('.py').replace('/', '.')} -> " not in broken.get(contract, "")
    }
    assert missed == set()


def test_each_contract_has_a_wrong_import_that_it_must_find():
    assert {contract["name"] for contract in CONTRACTS} == set(WRONG_IMPORTS)


def test_a_new_module_needs_a_place_in_its_package():
    layers = [contract for contract in CONTRACTS if "containers" in contract]
    assert [contract["name"] for contract in layers if not contract.get("exhaustive")] == []
    assert {name for contract in layers for name in contract["containers"]} >= EXHAUSTIVE


@pytest.mark.parametrize("file", sorted((ROOT / "rqmon/exporter").rglob("*.py")), ids=lambda file: file.stem)
def test_the_exporter_asks_the_owners_of_keys_and_names_none_itself(file):
    names = {
        name
        for module in (cron, job_scripts, jobs, keys, rate_limits)
        for name, value in vars(module).items()
        if isinstance(value, str) and value.startswith("rqmon:")
    }
    assert names >= {"COUNTS", "OUTCOMES", "SPECS"}
    used = {
        node.name if isinstance(node, ast.alias) else node.attr
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.alias | ast.Attribute)
    }
    assert used & names == set()
