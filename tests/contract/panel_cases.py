"""A panel, the series there are and what its query says: compared by Prometheus's own tool."""

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
FILLED |= {"__interval": "5s", "__range": "30m"}


@dataclass(frozen=True)
class Case:
    """A panel, the series there are, what is chosen, and what its query says: None is nothing.

    `legend` is of the query, where there are several; `at` is when it is asked.
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
    """The panel's only query, with what is chosen put in."""
    panels = json.loads((ROOT / DASHBOARDS / f"{case.uid}.json").read_text(encoding="utf-8"))["panels"]
    targets = next(panel["targets"] for panel in panels if panel["title"] == case.panel)
    target = next(target for target in targets if case.legend in ("", target["legendFormat"]))
    return re.sub(r"\$(\w+)", lambda match: {**FILLED, **case.chosen}[match.group(1)], target["expr"])


def run(folder: Path, cases: Sequence[Case]) -> None:
    """Let promtool compare what each case's panel says."""
    tests = [
        {
            "name": f"{number}: {case.uid}, {case.panel}",
            "interval": "5s",
            "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
            # Without labels: a panel has one value here, whatever it is named.
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
