"""Asks a real Prometheus every query of every dashboard."""
