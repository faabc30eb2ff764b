"""The cron entries in Redis: read, written and kept whole."""
