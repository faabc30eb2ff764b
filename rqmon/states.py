"""The states and outcomes that are values of labels: each list once, as plain names.

The dashboards read them here, as they import neither RQ nor the core. A test compares them with the enums of
both.
"""

# The statuses that rq_jobs counts; rq_jobs_canceled counts CANCELED.
JOB_STATUSES = ("queued", "started", "scheduled", "deferred", "finished", "failed")
CANCELED = "canceled"
WORKER_STATES = ("busy", "idle", "started", "suspended")
JOB_OUTCOMES = ("succeeded", "failed", "retried", "stopped", "abandoned", "rate_limited")
CRON_OUTCOMES = ("ran", "late", "missed", "skipped")
RATE_LIMIT_OUTCOMES = ("admitted", "refused")
