"""Every metric that a dashboard, rule or document may name, once.

Knows names only: it imports neither grafanalib nor prometheus_client, so the exporter can use it too.
"""

from dataclasses import dataclass
from typing import Literal

MetricType = Literal["counter", "gauge", "summary"]

# What Prometheus stores for each type, as suffixes of the metric's name.
SAMPLE_SUFFIXES: dict[MetricType, tuple[str, ...]] = {
    "counter": ("",),
    "gauge": ("",),
    "summary": ("_sum", "_count"),
}

# The statuses that rq_jobs counts, and what they mean.
JOB_STATUSES = {
    "queued": "Waiting for a worker.",
    "started": "Running now.",
    "scheduled": "To be queued at a later time.",
    "deferred": "Waiting for other jobs to finish.",
    "finished": "Succeeded, and the result is still kept: 500 seconds by default.",
    "failed": "Failed, and still kept: a year by default.",
}
# The `job` label that Prometheus gives to what it scrapes from the exporter.
EXPORTER_JOB = "rq-exporter"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric family as Prometheus knows it.

    A counter's name ends in `_total`; `labels` are the exporter's own, without Prometheus's
    `job` and `instance`, unless those are all it has.
    """

    name: str
    type: MetricType
    unit: str
    labels: tuple[str, ...]
    help: str
    source: str

    @property
    def samples(self) -> tuple[str, ...]:
        """The names that can be queried: a summary has no sample of its own name."""
        return tuple(self.name + suffix for suffix in SAMPLE_SUFFIXES[self.type])


UP = Metric(
    name="up",
    type="gauge",
    unit="boolean",
    labels=("job", "instance"),
    help="1 if Prometheus's last scrape of the target succeeded, else 0.",
    source="Prometheus",
)
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
    help="Jobs that Redis holds now; finished and failed ones until their TTL ends.",
    source="rq-exporter",
)
RQ_REQUEST_PROCESSING_SECONDS = Metric(
    name="rq_request_processing_seconds",
    type="summary",
    unit="seconds",
    labels=(),
    help="Time the exporter took to read RQ's data from Redis, once a scrape.",
    source="rq-exporter",
)

METRICS = (
    UP,
    RQ_WORKERS,
    RQ_WORKERS_SUCCESS_TOTAL,
    RQ_WORKERS_FAILED_TOTAL,
    RQ_WORKERS_WORKING_TIME_TOTAL,
    RQ_JOBS,
    RQ_REQUEST_PROCESSING_SECONDS,
)
