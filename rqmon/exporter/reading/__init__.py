"""From one Redis server to a snapshot, in three round trips."""
