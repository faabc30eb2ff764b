"""The state of cron and its next actions, in words, for the command line and other callers."""
