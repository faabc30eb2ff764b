"""What one job waits for, or why it ended as it did: read once, and put into words."""
