"""What a Grafana dashboard means: its JSON, its variables, its links and its time range."""
