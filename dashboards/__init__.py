"""Grafana dashboards as code: `python -m dashboards` writes them, `--check` finds outdated ones."""
