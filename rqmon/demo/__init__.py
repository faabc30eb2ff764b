"""Jobs that fill the dashboards and show that the queues work."""
