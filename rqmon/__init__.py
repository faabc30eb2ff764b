"""The programs around the core: the command, the stack, the exporter and what shows its numbers."""
