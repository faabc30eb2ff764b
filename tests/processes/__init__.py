"""Servers and programs that tests start as separate processes."""
