"""The meaning of a Grafana dashboard: its JSON, variables, links and time range."""
