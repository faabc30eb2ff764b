"""What stands in front of Prometheus and Alertmanager, which check neither Host nor Origin themselves."""
