"""The states and outcomes that are label values: each list once, as plain names.

The dashboards read them from here, since they import neither RQ nor the core. A test compares them with the
enums of both. Those of jobs have their meaning with them.
"""

# The statuses that rq_jobs counts; rq_jobs_canceled counts CANCELED.
JOB_STATUSES = {
    "queued": "Waiting for a worker.",
    "started": "Running now.",
    "scheduled": "To be queued at a later time.",
    "deferred": "Waiting for other jobs to finish.",
    "finished": "Succeeded, and the result is still kept: 500 seconds by default.",
    "failed": "Failed, and still kept: a year by default.",
}
CANCELED = "canceled"
WORKER_STATES = ("busy", "idle", "started", "suspended")
# The outcomes in rq_jobs_processed_total; each execution has exactly one.
JOB_OUTCOMES = {
    "succeeded": "Returned.",
    "failed": "Raised or returned a Retry, and no retry was left.",
    "retried": "Raised or returned a Retry, and was going to run again.",
    "stopped": "A person stopped it.",
    "abandoned": (
        "Its process or its worker died, or the job was lost between queue and start; RQ fails the job, or "
        "runs it again."
    ),
    "rate_limited": "Raised TooManyRequests, whether it was going to run again or not.",
}
CRON_OUTCOMES = ("ran", "late", "missed", "skipped")
RATE_LIMIT_OUTCOMES = ("admitted", "refused")
