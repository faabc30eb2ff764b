"""Alerts as people meet them: what fires, what was told, and what would have fired."""
