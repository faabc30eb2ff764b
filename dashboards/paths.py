"""Where the generated files are, under the project's root."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
DASHBOARDS = Path("monitoring", "grafana", "dashboards")
METRICS_PAGE = Path("docs", "metrics.md")
