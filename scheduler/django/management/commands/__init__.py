"""One module for each command, as Django wants it."""
