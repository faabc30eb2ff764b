"""What the documents say about metrics, against the catalog."""

import re
from pathlib import Path

import pytest

from dashboards.catalog import METRICS

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
