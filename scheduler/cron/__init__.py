"""Jobs that repeat on a cron: what they are, where they are kept, and the process that enqueues them."""
