"""What each drill breaks, and how its runbook mends that."""
