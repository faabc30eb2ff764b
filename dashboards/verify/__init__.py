"""Sends every query of every dashboard to a real Prometheus."""
