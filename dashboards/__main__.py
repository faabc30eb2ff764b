"""`python -m dashboards` writes the dashboards' JSON, Prometheus's rules and docs/metrics.md.

`--check` finds old ones.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dashboards.alerts.files import rule_files
from dashboards.boards import (
    rq_cron,
    rq_dashboard,
    rq_jobs,
    rq_limits,
    rq_monitoring,
    rq_queues,
    rq_redis,
    rq_workers,
)
from dashboards.kit.render import render
from dashboards.paths import DASHBOARDS, METRICS_PAGE, PROMETHEUS, ROOT
from dashboards.reference import metrics_page
from rqmon import objectives


def generate() -> dict[Path, str]:
    """{path under the project's root: text} of every generated file; a dashboard's is named after its uid."""
    dashboards = (
        rq_dashboard.build(),
        rq_queues.build(),
        rq_jobs.build(),
        rq_workers.build(),
        rq_cron.build(),
        rq_limits.build(),
        rq_redis.build(),
        rq_monitoring.build(),
    )
    rendered = {DASHBOARDS / f"{dashboard.uid}.json": render(dashboard) for dashboard in dashboards}
    rules = {PROMETHEUS / name: text for name, text in rule_files(objectives.read()).items()}
    return {**rendered, **rules, METRICS_PAGE: metrics_page()}


def drift(root: Path) -> list[str]:
    """One line for each file that differs from what would be generated, is missing, or has no source."""
    lines = []
    for path, text in generate().items():
        if not (root / path).exists():
            lines.append(f"{root / path}: missing")
        elif (root / path).read_text(encoding="utf-8") != text:
            lines.append(f"{root / path}: differs from what its source generates")
    folders = [(DASHBOARDS, "*.json"), (PROMETHEUS / "alerts", "*.yml"), (PROMETHEUS / "rules", "*.yml")]
    there = {path.relative_to(root) for folder, names in folders for path in (root / folder).glob(names)}
    unknown = there - generate().keys()
    return lines + [f"{root / path}: nothing generates it; delete it" for path in sorted(unknown)]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> None:
    """Write the files, or with `--check` exit 1 and name those that drifted."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not current")
    if parser.parse_args(arguments).check:
        if lines := drift(root):
            sys.exit("\n".join([*lines, "Run make dashboards."]))
        return
    for path, text in generate().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
