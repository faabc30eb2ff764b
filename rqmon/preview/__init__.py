"""Shows the generated Grafana dashboards without Grafana, with numbers from Prometheus's HTTP API."""
