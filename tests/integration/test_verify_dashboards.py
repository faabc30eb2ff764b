"""`make verify-dashboards` for real: all is well, a broken query is named, nothing is left behind."""

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dashboards.verify.panel_checks import empty, judge
from rqmon.preview.draw.frames import Answer
from rqmon.preview.grafana.model import parse_dashboard
from rqmon.preview.prometheus import Series
from rqmon.stack.native.commands import MARKER
from tests import ROOT
from tests.servers import command_lines, wait_for
from tests.stack import MISSING

DASHBOARD = json.loads((ROOT / "monitoring/grafana/dashboards/rq-dashboard.json").read_text())
needs_stack = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dashboards.verify", *arguments]


def verify(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def left_behind(folder: Path) -> list[str]:
    found = [str(path) for path in folder.glob("rqmon-*")]
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER, "").startswith(str(folder)):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.fixture
def short_folder():
    """A short path, because it is in a socket's."""
    folder = Path("/tmp") / f"verify-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.stack
@needs_stack
def test_every_query_of_every_dashboard_answers(short_folder):
    done = verify(folder=short_folder)
    assert done.returncode == 0, done.stdout + done.stderr
    for panel in DASHBOARD["panels"]:
        line = rf"^{panel['title']} .* (ok|empty, as expected: .+) *$"
        assert panel["type"] == "row" or re.search(line, done.stdout, re.MULTILINE), panel["title"]
    for status in ("queued", "finished", "failed", "deferred", "canceled"):
        seen, held = re.search(rf"{status} +ok: Prometheus (\d+), Redis (\d+)", done.stdout).groups()
        assert int(seen) == int(held) > 0, status
    assert left_behind(short_folder) == []


@pytest.mark.stack
@needs_stack
def test_a_broken_query_is_named(short_folder):
    broken = copy.deepcopy(DASHBOARD)
    panels = {panel["title"]: panel for panel in broken["panels"]}
    panels["Queued"]["targets"][0]["expr"] = "sum(rq_jobs"
    misspelt = panels["In the failed registry"]["targets"][0]["expr"].replace("failed", "failure")
    assert " or vector(0)" in misspelt
    panels["In the failed registry"]["targets"][0]["expr"] = misspelt
    panels["Capacity"]["targets"][1]["expr"] = "count(rq_workers) * 1.5"
    panels["Started"]["targets"][0]["expr"] = "sum(rq_jobs) + 0.5"
    (short_folder / "dashboards").mkdir()
    (short_folder / "dashboards/broken.json").write_text(json.dumps(broken))
    done = verify("--dashboards", str(short_folder / "dashboards"), "--seconds", "20", folder=short_folder)
    assert done.returncode == 1, done.stderr
    assert re.search(r"^Queued +A: Queued +error: .*parse error", done.stdout, re.MULTILINE)
    assert re.search(r"^In the failed registry +A: Failed +empty *$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^Capacity +B: Idle +out of range: Idle: .* not within 0 to 1", done.stdout, re.MULTILINE
    )
    assert re.search(r"^Started +A: Started +out of range: .* a count of \d+\.5", done.stdout, re.MULTILINE)
    for title in ("Queued", "In the failed registry", "Capacity", "Started"):
        assert f"RQ Dashboard: {title} (" in done.stderr.splitlines()[-1]
    assert left_behind(short_folder) == []


@pytest.mark.stack
@needs_stack
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_behind(number, short_folder):
    process = subprocess.Popen(
        command(), cwd=ROOT, env={**os.environ, "TMPDIR": str(short_folder)}, stderr=subprocess.DEVNULL
    )
    try:
        children = psutil.Process(process.pid).children
        running = lambda: any(" demo " in line for line in command_lines(children()))  # noqa: E731
        wait_for(running, seconds=60, what="the demo runs")
        assert len(left_behind(short_folder)) > 5
        process.send_signal(number)
        assert process.wait(timeout=120) != 0
    finally:
        process.kill()
    assert left_behind(short_folder) == []


def _judge(unit: str, expr: str, *points: float, maximum: float | None = None) -> str:
    data = {
        "uid": "u",
        "title": "T",
        "panels": [
            {
                "type": "stat",
                "title": "P",
                "gridPos": {"x": 0, "y": 0, "w": 4, "h": 4},
                "targets": [{"refId": "A", "expr": expr, "legendFormat": "L"}],
                "fieldConfig": {"defaults": {"unit": unit, "max": maximum}},
            }
        ],
    }
    panel = parse_dashboard(data).sections[0].panels[0]
    series = [Series({}, tuple(enumerate(map(float, points))))] if points else []
    return str(judge(panel, Answer(panel.targets[0], series, tuple(map(float, range(len(points))))), {}))


@pytest.mark.parametrize(
    ("unit", "expr", "points", "said"),
    [
        ("percentunit", "a / b", (0, 0.5, 1), "ok"),
        ("percentunit", "a / b", (0, 1.5), "out of range: L: 0 to 1.5 is not within 0 to 1"),
        ("percentunit", "a / b", (-0.1,), "out of range: L: -0.1 to -0.1 is not within 0 to 1"),
        ("percentunit", "a / b", (float("nan"),), "empty"),
        ("s", "a / b", (float("inf"),), "out of range: L: infinite"),
        ("locale", "sum(a)", (3, 4), "ok"),
        ("locale", "sum(a)", (3.5,), "out of range: L: a count of 3.5"),
        ("short", 'sum(a{path="x/y"})', (3.5,), "out of range: L: a count of 3.5"),
        ("locale", "sum(increase(a[5m]))", (3.5,), "ok"),
        ("locale", "sum(increase(a[5m]))", (-1,), "out of range: L: a count of -1"),
        ("short", "sum(a)", (), "empty"),
    ],
)
def test_what_can_be_true(unit, expr, points, said):
    assert _judge(unit, expr, *points) == said


def test_a_panel_may_say_that_it_shows_more_than_all():
    assert _judge("percentunit", "a / b", 1.5, maximum=2) == "ok"


def test_what_may_be_empty_is_known_by_what_it_asks_for():
    assert str(empty('sum(rate(ALERTS{alertstate="firing"}[5m]))')) == "empty, as expected: no alert fires"
    assert str(empty("sum(MY_ALERTS)")) == "empty"
    assert str(empty("label_values(rq_redis_up, redis)")).startswith("empty, as expected: only one Redis")
    assert str(empty("label_values(rq_jobs, queue)")) == "empty"
