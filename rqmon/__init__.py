"""The programs around the core: the command, the stack, the exporter, and the pages that show its numbers."""
