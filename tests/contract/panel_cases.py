"""Cases for panels (series in, the query's answer out), compared by Prometheus's own tool."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from dashboards.paths import DASHBOARDS, ROOT

FILLED = {"queue": ".*", "redis": ".*", "function": ".*", "__rate_interval": "20s"}
# `$1` is label_replace's.
FILLED |= {"__interval": "5s", "__range": "30m", "1": "$1"}


@dataclass(frozen=True)
class Case:
    """A panel, the series, the choices, and the expected answer of its query: None means no series.

    `legend` selects the query if there are several; `at` is the time of the query.
    """

    uid: str
    panel: str
    series: dict[str, str]
    says: float | None
    chosen: dict[str, str] = field(default_factory=dict)
    legend: str = ""
    at: str = "15m"


needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed: install prometheus"
)


def query_of(case: Case) -> str:
    """Return the panel's only query, with the choices filled in."""
    panels = json.loads((ROOT / DASHBOARDS / f"{case.uid}.json").read_text(encoding="utf-8"))["panels"]
    targets = next(panel["targets"] for panel in panels if panel["title"] == case.panel)
    target = next(target for target in targets if case.legend in ("", target["legendFormat"]))
    return re.sub(r"\$(\w+)", lambda match: {**FILLED, **case.chosen}[match.group(1)], target["expr"])


def run(folder: Path, cases: Sequence[Case]) -> None:
    """Let promtool compare each case's answer."""
    tests = [
        {
            "name": f"{number}: {case.uid}, {case.panel}",
            "interval": "5s",
            "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
            # Without labels: here a panel has one value, whatever its name.
            "promql_expr_test": [
                {
                    "expr": f"round(max({query_of(case)}), 0.001)",
                    "eval_time": case.at,
                    "exp_samples": [] if case.says is None else [{"labels": "{}", "value": case.says}],
                }
            ],
        }
        for number, case in enumerate(cases)
    ]
    file = folder / "panels.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "5s", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
