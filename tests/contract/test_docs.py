"""What the documents say: metrics, links, commands and targets exist, and the new panel can be made."""

import json
import re
import shutil
import subprocess
import sys

import click
import pytest

from rqmon.cli.main import rqmon
from rqmon.metrics import METRICS
from tests import ROOT

NAMES = {metric.name for metric in METRICS}
FIXTURES = {"rq_redis_for_session", "rq_redis_url"}  # from the pytest plugin, named like metrics
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - {*(ROOT / "docs/adr").glob("*.md")})]
# All pages that people read and that link to others.
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
# What is true now: the changelog and the decisions may name what is gone.
CURRENT = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]


def _without_code(text):
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def _code(text):
    return "\n".join(re.findall(r"^```.*?^```|`[^`\n]*`", text, flags=re.DOTALL | re.MULTILINE))


def _anchors(document):
    """Return the anchors that the usual forges give to a page's headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ +(.*?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    links = re.findall(r"\]\(([^()\s]+)\)", _without_code(document.read_text()))
    broken = []
    for link in links:
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme():
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        document = ahead.pop()
        if document in reached:
            continue
        reached.add(document)
        links = re.findall(r"\]\(([^()\s#]+\.md)(?:#[^()\s]*)?\)", document.read_text())
        ahead += [(document.parent / link).resolve() for link in links if not link.startswith("http")]
    assert {page for page in DOCUMENTS if page.parent.name != "adr"} - reached == set()


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_every_metric_that_is_named_exists(document):
    # Names in code, without those of files, services and variables.
    named = set(
        re.findall(r"\brq_(?:jobs?|queue|worker|workers|cron|redis|scrape|rate)_\w+", document.read_text())
    )
    bare = {name.removesuffix("_bucket") for name in named}
    assert bare - NAMES - FIXTURES == set()


@pytest.mark.parametrize("document", CURRENT, ids=lambda path: path.name)
def test_every_command_that_is_named_exists(document):
    missing = []
    for name, subcommand in re.findall(
        r"(?<![\w-])rqmon ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", _code(document.read_text())
    ):
        command = rqmon.get_command(click.Context(rqmon), name)
        if command is None or (
            isinstance(command, click.Group) and subcommand and subcommand not in command.commands
        ):
            missing.append(f"{name} {subcommand}")
    assert missing == []


@pytest.mark.parametrize("document", CURRENT, ids=lambda path: path.name)
def test_every_target_that_is_named_exists(document):
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"\bmake ([a-z][a-z0-9-]*)", _code(document.read_text()))
    assert set(named) - targets == set()


def test_queries_use_metrics_that_exist():
    queries = re.findall(r"```promql\n(.*?)```", (ROOT / "docs/reference/exporter.md").read_text(), re.DOTALL)
    assert len(queries) >= 5
    for query in queries:
        assert {name.removesuffix("_bucket") for name in re.findall(r"rq_\w+", query)} <= NAMES


def test_the_new_panel_of_the_guide_is_generated_and_passes_the_lint(tmp_path):
    [(module, diff)] = re.findall(
        r"```diff\n--- a/(\S+)\n\+\+\+ b/\1\n@@ [^\n]*\n(.*?)```",
        (ROOT / "CONTRIBUTING.md").read_text(),
        re.DOTALL,
    )
    lines = diff.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "dashboards", tmp_path / "dashboards", ignore=shutil.ignore_patterns("__pycache__")
    )
    source = tmp_path / module
    assert source.read_text().count(before) == 1
    source.write_text(source.read_text().replace(before, after))
    for program, arguments in {
        "ruff": ("format", "--check"),
        "dashboards": (),
        "dashboards.lint": (),
    }.items():
        subprocess.run([sys.executable, "-m", program, *arguments], cwd=tmp_path, check=True)
    generated = json.loads((tmp_path / "monitoring/grafana/dashboards/rq-queues.json").read_text())
    assert "Deferred jobs by queue" in {panel["title"] for panel in generated["panels"]}
