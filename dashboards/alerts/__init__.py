"""Prometheus's recording rules and alerts, from the catalog's metrics, the thresholds and the objectives."""
