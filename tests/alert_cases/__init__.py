"""For each alert: series on which it fires, and at whose edge it is silent, and what is said without data."""
