"""The `rqmon` command: one module a group of commands, which parses, calls and prints."""
