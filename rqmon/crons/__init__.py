"""How cron is doing and what it would do, in words: for the command line, and for whoever else asks."""
