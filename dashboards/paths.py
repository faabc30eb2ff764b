"""The paths of the generated files under the project's root."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
DASHBOARDS = Path("monitoring", "grafana", "dashboards")
PROMETHEUS = Path("monitoring", "prometheus")
METRICS_PAGE = Path("docs", "metrics.md")
