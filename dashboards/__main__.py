"""`python -m dashboards` writes the dashboards' JSON and docs/metrics.md; `--check` finds old ones."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dashboards.reference import metrics_page
from dashboards.render import render
from dashboards.rq_dashboard import rq_dashboard

_ROOT = Path(__file__).parents[1]
DIRECTORY = _ROOT / "monitoring" / "grafana" / "dashboards"
METRICS_PAGE = _ROOT / "docs" / "metrics.md"


def generate() -> dict[str, str]:
    """{file name: JSON text} of every dashboard; the file is named after the uid."""
    return {f"{dashboard.uid}.json": render(dashboard) for dashboard in (rq_dashboard(),)}


def drift(directory: Path) -> list[str]:
    """One line for each file that differs from what would be generated, is missing, or has no source."""
    expected = generate()
    found = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.json")}
    lines = []
    for name in sorted(expected | found):
        if name not in found:
            lines.append(f"{directory / name}: missing")
        elif name not in expected:
            lines.append(f"{directory / name}: nothing generates it; delete it")
        elif found[name] != expected[name]:
            lines.append(f"{directory / name}: differs from what its source generates")
    return lines


def main(arguments: Sequence[str] | None = None, directory: Path = DIRECTORY) -> None:
    """Write the files, or with `--check` exit 1 and name those that drifted."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not current")
    if parser.parse_args(arguments).check:
        lines = drift(directory)
        if not METRICS_PAGE.exists() or METRICS_PAGE.read_text(encoding="utf-8") != metrics_page():
            lines.append(f"{METRICS_PAGE}: differs from what its source generates")
        if lines:
            sys.exit("\n".join([*lines, "Run make dashboards."]))
        return
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in generate().items():
        (directory / name).write_text(text, encoding="utf-8")
    METRICS_PAGE.write_text(metrics_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
