"""Grafana dashboards as code: `python -m dashboards` writes them, `--check` proves them current."""
