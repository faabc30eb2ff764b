"""What alerts compare with: each value once, with its unit. `for` and windows are the alerts' own."""

# Scrapes. Prometheus gives up after 4 s.
SCRAPE_SECONDS = 2
# Errors of one reason in 5 minutes; one lost scrape is no news.
SCRAPE_ERRORS = 3

# Redis. Of what it may use (maxmemory).
MEMORY_SHARE = 0.9
# Without an append-only file: twice the longest pause between snapshots that Redis's own settings make.
SNAPSHOT_AGE_SECONDS = 7200

# Queues. Whatever a queue's objective is, this old without anything taken is a stall.
STALLED_SECONDS = 300
DRAIN_SECONDS = 3600
SCHEDULED_DELAY_SECONDS = 60

# Jobs, of all executions in 15 minutes.
FAILED_SHARE = 0.1
RETRIED_SHARE = 0.5
# Fewer executions than this say nothing about a share.
LEAST_EXECUTIONS = 20
# Of the last day, in hours of which the function ran.
STEADY_SHARE = 0.9

# Workers.
BUSY_SHARE = 0.9
# A worker of this project shows a sign of life every 30 s, an idle plain `rq worker` every 405 s.
HEARTBEAT_SECONDS = 60
PLAIN_HEARTBEAT_SECONDS = 430

# Cron.
CRON_OVERDUE_SECONDS = 60
# Late or skipped slots of one entry within an hour.
CRON_SLOTS = 3

# Rate limits.
REFUSED_SHARE = 0.95

# Objectives: a month's budget is gone in two days at 14.4, in five at 6.
FAST_BURN = 14.4
SLOW_BURN = 6
