"""What the documents say about metrics and panels, against the catalog and what is generated."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rqmon.metrics import METRICS

ROOT = Path(__file__).parents[2]
NAMES = {metric.name for metric in METRICS}
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_metric_that_is_named_exists(document):
    # Names in code, not those of files, services and variables.
    named = set(
        re.findall(r"\brq_(?:jobs?|queue|worker|workers|cron|redis|scrape|rate)_\w+", document.read_text())
    )
    bare = {name.removesuffix("_bucket") for name in named}
    assert bare - NAMES == set()


def test_queries_use_metrics_that_exist():
    queries = re.findall(r"```promql\n(.*?)```", (ROOT / "docs/exporter.md").read_text(), re.DOTALL)
    assert len(queries) >= 5
    for query in queries:
        assert {name.removesuffix("_bucket") for name in re.findall(r"rq_\w+", query)} <= NAMES


def test_the_new_panel_of_the_guide_is_generated_and_passes_the_lint(tmp_path):
    [diff] = re.findall(
        r"```diff\n.*?\n@@ [^\n]*\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL
    )
    lines = diff.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "dashboards", tmp_path / "dashboards", ignore=shutil.ignore_patterns("__pycache__")
    )
    source = tmp_path / "dashboards/rows/queue_history.py"
    assert source.read_text().count(before) == 1
    source.write_text(source.read_text().replace(before, after))
    for module, arguments in {
        "ruff": ("format", "--check"),
        "dashboards": (),
        "dashboards.lint": (),
    }.items():
        subprocess.run([sys.executable, "-m", module, *arguments], cwd=tmp_path, check=True)
    generated = json.loads((tmp_path / "monitoring/grafana/dashboards/rq-queues.json").read_text())
    assert "Deferred jobs by queue" in {panel["title"] for panel in generated["panels"]}
