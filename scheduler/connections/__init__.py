"""Connections to Redis that survive a failover, and what a refusal of Redis means."""
