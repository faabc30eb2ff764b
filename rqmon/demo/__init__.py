"""Jobs that fill the dashboards and prove that the queues work."""
