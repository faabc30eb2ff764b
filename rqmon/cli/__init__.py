"""The `rqmon` command: one module per group of commands, which parses, calls and prints."""
