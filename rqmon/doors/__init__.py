"""Reverse proxies ("doors") for Prometheus and Alertmanager, which don't check Host and Origin."""
