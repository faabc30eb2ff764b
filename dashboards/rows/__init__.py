"""Rows and panels that a dashboard is made of, or that several share."""
