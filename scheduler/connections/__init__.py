"""Connections to Redis that survive a failover, and what it means when Redis refuses."""
