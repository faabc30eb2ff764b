"""Serves the generated Grafana dashboards without Grafana, drawn from Prometheus's HTTP API."""
