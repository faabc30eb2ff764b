"""The catalog: every metric once, with type, unit, labels, help and source.

The exporter serves the metrics, dashboards and rules use them, and docs/metrics.md lists them.
"""

from dataclasses import dataclass
from typing import Literal

from rqmon.states import CRON_OUTCOMES, JOB_OUTCOMES

MetricType = Literal["counter", "gauge", "summary", "histogram"]

# The series that Prometheus stores for each type, as suffixes of the metric's name.
SAMPLE_SUFFIXES: dict[MetricType, tuple[str, ...]] = {
    "counter": ("",),
    "gauge": ("",),
    "summary": ("_sum", "_count"),
    "histogram": ("_bucket", "_sum", "_count"),
}

# The `job` label that Prometheus adds to the exporter's samples.
EXPORTER_JOB = "rq-exporter"
PROMETHEUS_JOB = "prometheus"
# The alert that always fires: where it does not, nobody knows whether others would.
WATCHDOG = "RQWatchdog"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric family as Prometheus knows it.

    A counter's name ends in `_total`; `labels` are the exporter's, without Prometheus's `job` and `instance`,
    unless there are no others.
    """

    name: str
    type: MetricType
    unit: str
    labels: tuple[str, ...]
    help: str
    source: str

    @property
    def samples(self) -> tuple[str, ...]:
        """The names that can be queried: a summary has no sample under its own name."""
        return tuple(self.name + suffix for suffix in SAMPLE_SUFFIXES[self.type])


UP = Metric(
    name="up",
    type="gauge",
    unit="boolean",
    labels=("job", "instance"),
    help="1 if Prometheus's last scrape of the target succeeded, else 0.",
    source="Prometheus",
)
# Workers and jobs, as in rq-exporter.
RQ_WORKERS = Metric(
    name="rq_workers",
    type="gauge",
    unit="workers",
    labels=("name", "state", "queues"),
    help="1 for each registered worker, in its current state; queues are joined by commas.",
    source="rq-exporter",
)
RQ_WORKERS_SUCCESS_TOTAL = Metric(
    name="rq_workers_success_total",
    type="counter",
    unit="jobs",
    labels=("name", "queues"),
    help="Jobs that succeeded, by worker; the series ends with the worker.",
    source="rq-exporter",
)
RQ_WORKERS_FAILED_TOTAL = Metric(
    name="rq_workers_failed_total",
    type="counter",
    unit="jobs",
    labels=("name", "queues"),
    help="Jobs that failed, by worker; the series ends with the worker.",
    source="rq-exporter",
)
RQ_WORKERS_WORKING_TIME_TOTAL = Metric(
    name="rq_workers_working_time_total",
    type="counter",
    unit="seconds",
    labels=("name", "queues"),
    help="Time spent running jobs, by worker; added when a job ends.",
    source="rq-exporter",
)
RQ_JOBS = Metric(
    name="rq_jobs",
    type="gauge",
    unit="jobs",
    labels=("queue", "status"),
    help="Jobs in Redis now; finished and failed ones until their TTL ends.",
    source="rq-exporter",
)
RQ_JOBS_CANCELED = Metric(
    name="rq_jobs_canceled",
    type="gauge",
    unit="jobs",
    labels=("queue",),
    help=(
        "Canceled jobs that are still in Redis. rq_jobs does not count them: its statuses are rq-exporter's."
    ),
    source="RQ",
)
RQ_REQUEST_PROCESSING_SECONDS = Metric(
    name="rq_request_processing_seconds",
    type="summary",
    unit="seconds",
    labels=(),
    help=(
        "Time the exporter took to read Redis, all servers at once; scrapes and calls of /healthz within a "
        "second share one reading."
    ),
    source="rq-exporter",
)

# The exporter itself, and its reading of Redis.
RQ_REDIS_UP = Metric(
    name="rq_redis_up",
    type="gauge",
    unit="boolean",
    labels=(),
    help="1 if Redis answered this scrape and could be read; 0 if it is down or refuses the exporter.",
    source="exporter",
)
RQ_REDIS_REFUSING = Metric(
    name="rq_redis_refusing",
    type="gauge",
    unit="boolean",
    labels=("code",),
    help=(
        "1 while Redis answers but refuses, by the code of its answer. READONLY, OOM, MISCONF "
        "and NOREPLICAS are answers to writes; no series if the exporter's user may not test that."
    ),
    source="exporter",
)
RQ_LEFT_OUT = Metric(
    name="rq_left_out",
    type="gauge",
    unit="names",
    labels=("what",),
    help=(
        "Names left out because a page would have too many; it keeps the largest. Pairs of queue and "
        "function (pairs), of queue and exception (failures), resources of rate limits, cron entries, queues."
    ),
    source="exporter",
)
RQ_SCRAPE_DURATION_SECONDS = Metric(
    name="rq_scrape_duration_seconds",
    type="gauge",
    unit="seconds",
    labels=(),
    help="Time this scrape took to read this Redis.",
    source="exporter",
)
RQ_SCRAPE_ERRORS_TOTAL = Metric(
    name="rq_scrape_errors_total",
    type="counter",
    unit="errors",
    labels=("reason",),
    help=(
        "Failed reads since the exporter started: a server (connection, timeout, authentication, "
        "or unexpected: its log has the traceback), a server or key that refuses (refused), or a "
        "malformed key or field (key)."
    ),
    source="exporter",
)
RQ_EXPORTER_BUILD_INFO = Metric(
    name="rq_exporter_build_info",
    type="gauge",
    unit="info",
    labels=("version", "rq_version", "python_version"),
    help="1; the labels give the versions of the exporter, RQ and Python.",
    source="exporter",
)
# Queues, from RQ's own keys.
RQ_SUSPENDED = Metric(
    name="rq_suspended",
    type="gauge",
    unit="boolean",
    labels=(),
    help="1 while RQ's workers are suspended and take no jobs.",
    source="RQ",
)
RQ_QUEUE_OLDEST_JOB_AGE_SECONDS = Metric(
    name="rq_queue_oldest_job_age_seconds",
    type="gauge",
    unit="seconds",
    labels=("queue",),
    help=(
        "How long the older of the queue's first and last job has waited; jobs between them are not "
        "looked at. 0 when the queue is empty."
    ),
    source="RQ",
)
RQ_QUEUE_SCHEDULED_OVERDUE_JOBS = Metric(
    name="rq_queue_scheduled_overdue_jobs",
    type="gauge",
    unit="jobs",
    labels=("queue",),
    help="Scheduled jobs whose time has come and that no worker's scheduler has queued.",
    source="RQ",
)
RQ_QUEUE_SCHEDULED_DELAY_SECONDS = Metric(
    name="rq_queue_scheduled_delay_seconds",
    type="gauge",
    unit="seconds",
    labels=("queue",),
    help="How late the most overdue scheduled job is.",
    source="RQ",
)
RQ_QUEUE_LONGEST_RUNNING_JOB_SECONDS = Metric(
    name="rq_queue_longest_running_job_seconds",
    type="gauge",
    unit="seconds",
    labels=("queue",),
    help="How long the longest-running of the queue's jobs has run, of 100 at most and only those with a "
    "live worker. 0 when none runs.",
    source="RQ",
)
RQ_QUEUE_OLDEST_DEFERRED_JOB_AGE_SECONDS = Metric(
    name="rq_queue_oldest_deferred_job_age_seconds",
    type="gauge",
    unit="seconds",
    labels=("queue",),
    help="How long the oldest of the queue's deferred jobs has waited for other jobs. 0 when there is none.",
    source="RQ",
)
RQ_QUEUE_INTERMEDIATE_JOBS = Metric(
    name="rq_queue_intermediate_jobs",
    type="gauge",
    unit="jobs",
    labels=("queue",),
    help="Jobs between the queue and their start; some that stay there were lost by a worker that died.",
    source="RQ",
)
RQ_QUEUE_WORKERS = Metric(
    name="rq_queue_workers",
    type="gauge",
    unit="workers",
    labels=("queue",),
    help="Registered workers that listen to the queue.",
    source="RQ",
)
# Executions, counted in the ledger when they end.
RQ_JOB_WAIT_SECONDS = Metric(
    name="rq_job_wait_seconds",
    type="histogram",
    unit="seconds",
    labels=("queue", "function"),
    help="Time from when a job was queued, or was due, to its start.",
    source="ledger",
)
RQ_JOB_RUN_SECONDS = Metric(
    name="rq_job_run_seconds",
    type="histogram",
    unit="seconds",
    labels=("queue", "function"),
    help="Time from a job's start to its end.",
    source="ledger",
)
RQ_JOBS_PROCESSED_TOTAL = Metric(
    name="rq_jobs_processed_total",
    type="counter",
    unit="jobs",
    labels=("queue", "function", "outcome"),
    help=f"Executions that ended, by outcome: {', '.join(JOB_OUTCOMES)}.",
    source="ledger",
)
RQ_JOB_FAILURES_TOTAL = Metric(
    name="rq_job_failures_total",
    type="counter",
    unit="jobs",
    labels=("queue", "exception"),
    help=(
        "Executions that ended with an exception, by its class, including retried ones. "
        "WorkHorseKilled means that a job's process died. Jobs lost between queue and "
        "start are not counted."
    ),
    source="ledger",
)
RQ_JOB_RETRIES_TOTAL = Metric(
    name="rq_job_retries_total",
    type="counter",
    unit="jobs",
    labels=("queue",),
    help="Executions after which the job was going to run again.",
    source="ledger",
)
RQ_WORK_HORSES_KILLED_TOTAL = Metric(
    name="rq_work_horses_killed_total",
    type="counter",
    unit="processes",
    labels=("queue",),
    help="Work horses that were killed, or exited with any code, before they finished their job.",
    source="ledger",
)
# Workers and lost jobs, from RQ's own keys.
RQ_WORKERS_BY_STATE = Metric(
    name="rq_workers_by_state",
    type="gauge",
    unit="workers",
    labels=("state",),
    help="Registered workers, by state.",
    source="RQ",
)
RQ_WORKER_HEARTBEAT_AGE_MAX_SECONDS = Metric(
    name="rq_worker_heartbeat_age_max_seconds",
    type="gauge",
    unit="seconds",
    labels=(),
    help="Age of the oldest heartbeat of a registered worker.",
    source="RQ",
)
RQ_WORKERS_STALE = Metric(
    name="rq_workers_stale",
    type="gauge",
    unit="workers",
    labels=(),
    help="Registered workers whose heartbeat is overdue by 30 s or more, each by its own interval. A minute "
    "after it was due, the worker counts as gone. No series if that can't be read.",
    source="RQ",
)
RQ_JOBS_SAMPLED = Metric(
    name="rq_jobs_sampled",
    type="gauge",
    unit="jobs",
    labels=(),
    help=(
        "Jobs that this scrape looked for: a random sample of those that were queued 60 s ago or earlier, "
        "without the queued ones of queues that are longer than 2,000."
    ),
    source="RQ",
)
RQ_JOBS_UNACCOUNTED = Metric(
    name="rq_jobs_unaccounted",
    type="gauge",
    unit="jobs",
    labels=(),
    help=(
        "Sampled jobs (see rq_jobs_sampled) that no queue, registry or worker has, though their status "
        "says so. Each scrape samples others: ask for max_over_time(rq_jobs_unaccounted[10m]) > 0."
    ),
    source="RQ",
)
# Cron.
RQ_CRON_ENTRIES = Metric(
    name="rq_cron_entries",
    type="gauge",
    unit="entries",
    labels=(),
    help="Cron entries.",
    source="cron",
)
RQ_CRON_ENTRY_INFO = Metric(
    name="rq_cron_entry_info",
    type="gauge",
    unit="info",
    labels=("entry", "function", "queue", "schedule", "timezone"),
    help="1; the labels describe the entry.",
    source="cron",
)
RQ_CRON_NEXT_RUN_TIMESTAMP_SECONDS = Metric(
    name="rq_cron_next_run_timestamp_seconds",
    type="gauge",
    unit="timestamp",
    labels=("entry",),
    help="The entry's next slot; no series while it is paused.",
    source="cron",
)
RQ_CRON_LAST_RUN_TIMESTAMP_SECONDS = Metric(
    name="rq_cron_last_run_timestamp_seconds",
    type="gauge",
    unit="timestamp",
    labels=("entry",),
    help="The entry's last slot that got a job.",
    source="ledger",
)
RQ_CRON_LATENESS_SECONDS = Metric(
    name="rq_cron_lateness_seconds",
    type="histogram",
    unit="seconds",
    labels=(),
    help="How late cron jobs were queued after their slots, over all entries.",
    source="ledger",
)
RQ_CRON_SLOTS_TOTAL = Metric(
    name="rq_cron_slots_total",
    type="counter",
    unit="slots",
    labels=("entry", "outcome"),
    help=f"Slots by outcome: {', '.join(CRON_OUTCOMES)}. They add up to the slots due.",
    source="ledger",
)
RQ_CRON_PROCESSES = Metric(
    name="rq_cron_processes",
    type="gauge",
    unit="processes",
    labels=(),
    help="Cron processes that are live and get their work done.",
    source="cron",
)
RQ_CRON_ENTRIES_PASSED_OVER = Metric(
    name="rq_cron_entries_passed_over",
    type="gauge",
    unit="entries",
    labels=(),
    help="Cron entries whose job can't be queued, as reported by a live cron process.",
    source="cron",
)
# Rate limits.
RQ_RATE_LIMIT_REQUESTS_TOTAL = Metric(
    name="rq_rate_limit_requests_total",
    type="counter",
    unit="requests",
    labels=("resource", "outcome"),
    help="Requests that a rate limit admitted or refused.",
    source="ledger",
)
# Redis itself.
RQ_REDIS_MEMORY_USED_BYTES = Metric(
    name="rq_redis_memory_used_bytes",
    type="gauge",
    unit="bytes",
    labels=(),
    help="Memory that Redis uses.",
    source="Redis INFO",
)
RQ_REDIS_MEMORY_MAX_BYTES = Metric(
    name="rq_redis_memory_max_bytes",
    type="gauge",
    unit="bytes",
    labels=(),
    help="Memory that Redis may use; 0 means no limit.",
    source="Redis INFO",
)
RQ_REDIS_EVICTED_KEYS_TOTAL = Metric(
    name="rq_redis_evicted_keys_total",
    type="counter",
    unit="keys",
    labels=(),
    help="Keys that Redis evicted for lack of memory: jobs may be among them.",
    source="Redis INFO",
)
RQ_REDIS_CONNECTED_CLIENTS = Metric(
    name="rq_redis_connected_clients",
    type="gauge",
    unit="clients",
    labels=(),
    help="Connected clients.",
    source="Redis INFO",
)
RQ_REDIS_COMMANDS_PROCESSED_TOTAL = Metric(
    name="rq_redis_commands_processed_total",
    type="counter",
    unit="commands",
    labels=(),
    help="Commands Redis ran.",
    source="Redis INFO",
)
RQ_REDIS_UPTIME_SECONDS = Metric(
    name="rq_redis_uptime_seconds",
    type="gauge",
    unit="seconds",
    labels=(),
    help="Time since Redis started.",
    source="Redis INFO",
)
RQ_REDIS_AOF_ENABLED = Metric(
    name="rq_redis_aof_enabled",
    type="gauge",
    unit="boolean",
    labels=(),
    help="1 if Redis keeps an append-only file.",
    source="Redis INFO",
)
RQ_REDIS_LAST_WRITE_OK = Metric(
    name="rq_redis_last_write_ok",
    type="gauge",
    unit="boolean",
    labels=("kind",),
    help=(
        "1 if Redis's last write to disk succeeded, of the append-only file (aof) and of the snapshot (rdb)."
    ),
    source="Redis INFO",
)
RQ_REDIS_LAST_SAVE_TIMESTAMP_SECONDS = Metric(
    name="rq_redis_last_save_timestamp_seconds",
    type="gauge",
    unit="timestamp",
    labels=(),
    help="When Redis last saved a snapshot.",
    source="Redis INFO",
)
RQ_REDIS_CHANGES_SINCE_LAST_SAVE = Metric(
    name="rq_redis_changes_since_last_save",
    type="gauge",
    unit="changes",
    labels=(),
    help="Changes that no snapshot holds yet.",
    source="Redis INFO",
)
RQ_REDIS_KEYS = Metric(
    name="rq_redis_keys",
    type="gauge",
    unit="keys",
    labels=("db",),
    help="Keys in a database.",
    source="Redis INFO",
)
# Prometheus itself.
SCRAPE_DURATION_SECONDS = Metric(
    name="scrape_duration_seconds",
    type="gauge",
    unit="seconds",
    labels=("job", "instance"),
    help="Time Prometheus's last scrape of the target took.",
    source="Prometheus",
)
SCRAPE_SAMPLES_SCRAPED = Metric(
    name="scrape_samples_scraped",
    type="gauge",
    unit="samples",
    labels=("job", "instance"),
    help="Samples in Prometheus's last scrape of the target.",
    source="Prometheus",
)
ALERTS = Metric(
    name="ALERTS",
    type="gauge",
    unit="boolean",
    labels=("alertname", "alertstate", "severity"),
    help="1 while the alert is pending or firing, with the alert's own labels; no series otherwise.",
    source="Prometheus",
)
ALERTS_FOR_STATE = Metric(
    name="ALERTS_FOR_STATE",
    type="gauge",
    unit="timestamp",
    labels=("alertname", "severity"),
    help="Since when the alert's expression holds, with the labels of its own; no series when it does not.",
    source="Prometheus",
)
PROMETHEUS_RULE_GROUP_LAST_DURATION_SECONDS = Metric(
    name="prometheus_rule_group_last_duration_seconds",
    type="gauge",
    unit="seconds",
    labels=("rule_group",),
    help="Time that the last evaluation of a rule group took.",
    source="Prometheus",
)
PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL = Metric(
    name="prometheus_rule_evaluation_failures_total",
    type="counter",
    unit="evaluations",
    labels=("rule_group",),
    help="Evaluations of a rule that failed.",
    source="Prometheus",
)
PROMETHEUS_TSDB_HEAD_SERIES = Metric(
    name="prometheus_tsdb_head_series",
    type="gauge",
    unit="series",
    labels=(),
    help="Series that Prometheus has in memory.",
    source="Prometheus",
)
PROMETHEUS_NOTIFICATIONS_ERRORS_TOTAL = Metric(
    name="prometheus_notifications_errors_total",
    type="counter",
    unit="notifications",
    labels=("alertmanager",),
    help="Alerts that Prometheus could not send to Alertmanager.",
    source="Prometheus",
)
PROMETHEUS_NOTIFICATIONS_DROPPED_TOTAL = Metric(
    name="prometheus_notifications_dropped_total",
    type="counter",
    unit="notifications",
    labels=(),
    help="Alerts that Prometheus gave up sending.",
    source="Prometheus",
)
ALERTMANAGER_NOTIFICATION_REQUESTS_TOTAL = Metric(
    name="alertmanager_notification_requests_total",
    type="counter",
    unit="requests",
    labels=("integration",),
    help="Attempts to deliver a notification, by the way Alertmanager tells it.",
    source="Alertmanager",
)
ALERTMANAGER_NOTIFICATION_REQUESTS_FAILED_TOTAL = Metric(
    name="alertmanager_notification_requests_failed_total",
    type="counter",
    unit="requests",
    labels=("integration",),
    help="Attempts to deliver a notification that failed, by the way Alertmanager tells it.",
    source="Alertmanager",
)

# In the order above.
METRICS = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
