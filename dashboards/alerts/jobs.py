"""Alerts about jobs: those that fail, run on, are lost, or don't run any more."""

from dashboards.alerts.model import QUEUE, Alert, events, rise
from rqmon.thresholds import FAILING_SHARE, LEAST_EXECUTIONS, RETRIED_SHARE, STEADY_SHARE

_CHOSEN = ("queue",)
_ENDED_15M = rise("queue:rq_jobs_processed:sum", "15m")
_ABANDONED = events('rq_jobs_processed_total{outcome="abandoned"}', by=QUEUE, window="15m")
KILLED = events("rq_work_horses_killed_total", by=QUEUE, window="15m")
_HOURLY = "queue_function:rq_jobs_processed:rate1h"

ALERTS = (
    Alert(
        name="RQJobHighFailRate",
        fault="Jobs of a queue raise.",
        expr="avg_over_time(queue:rq_jobs_failed:rate5m[15m]) "
        f"/ avg_over_time(queue:rq_jobs_processed:rate5m[15m]) > {FAILING_SHARE.alert} "
        f"and {rise('queue:rq_jobs_failing:sum', '15m')} > {FAILING_SHARE.alert} * {_ENDED_15M} "
        f"and {_ENDED_15M} >= {LEAST_EXECUTIONS}",
        for_seconds=300,
        keep_firing_for_seconds=300,
        severity="warning",
        summary="Jobs of {{ $labels.queue }} fail",
        description="{{ $value | humanizePercentage }} of the executions in {{ $labels.queue }} in 15 "
        "minutes left their "
        "job failed for good.",
        dashboard="rq-jobs",
        panel="Failures by exception",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQRetryStorm",
        fault="Jobs of a queue raise and are retried, again and again.",
        expr="avg_over_time(queue:rq_jobs_retried:rate5m[15m]) "
        f"/ avg_over_time(queue:rq_jobs_processed:rate5m[15m]) > {RETRIED_SHARE.critical} "
        f"and {rise('queue:rq_jobs_retried:sum', '15m')} > {RETRIED_SHARE.critical} * {_ENDED_15M} "
        f"and {_ENDED_15M} >= {LEAST_EXECUTIONS}",
        for_seconds=300,
        keep_firing_for_seconds=300,
        severity="warning",
        summary="{{ $labels.queue }} is busy with retries",
        description="{{ $value | humanizePercentage }} of the executions in {{ $labels.queue }} in 15 "
        "minutes raised and "
        "are to run again.",
        dashboard="rq-jobs",
        panel="Retries by queue",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQJobRunningTooLong",
        fault="A job hangs.",
        # Jobs ran at every moment of the hour and none ended: whatever runs began before it.
        expr="min_over_time(queue:rq_jobs_started:sum[1h]) > 0 and queue:rq_jobs_started:sum offset 1h > 0 "
        "and queue:rq_jobs_processed:sum - queue:rq_jobs_processed:sum offset 1h == 0",
        for_seconds=60,
        severity="warning",
        summary="Jobs of {{ $labels.queue }} run without end",
        description='{{ $value | printf "%.0f" }} jobs or more of {{ $labels.queue }} have run for over an '
        "hour, and none "
        "ended meanwhile.",
        dashboard="rq-jobs",
        panel="Run times",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQJobsAbandoned",
        fault="A worker died with its job, or between taking it and starting it.",
        # Those whose process alone was killed have their own alert.
        expr=f"{_ABANDONED} - {KILLED} > 0",
        for_seconds=0,
        severity="warning",
        summary="Jobs of {{ $labels.queue }} lost their worker",
        description='{{ $value | printf "%.0f" }} executions in {{ $labels.queue }} were given up in 15 '
        "minutes, as "
        "their worker was gone.",
        dashboard="rq-jobs",
        panel="Killed and abandoned",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQJobsUnaccounted",
        fault="Jobs are in no queue and no registry, though their status says so.",
        expr="max_over_time(rq_jobs_unaccounted[10m]) > 0",
        for_seconds=60,
        severity="warning",
        summary="Jobs are lost in Redis",
        description='{{ $value | printf "%.0f" }} of the jobs that one scrape looked for are nowhere. They '
        "will never "
        "run, and others may share their fate.",
        dashboard="rq-jobs",
        panel="Unaccounted",
    ),
    Alert(
        name="RQFunctionSilent",
        fault="What queued a function stopped doing so, or its jobs wait elsewhere.",
        expr=f"{_HOURLY} == 0 and avg_over_time(({_HOURLY} > bool 0)[1d:5m]) >= {STEADY_SHARE} "
        # A stack that was stopped for the night has not looked for an hour yet.
        f"and {_HOURLY} offset 23h > 0 and {_HOURLY} offset 1h >= 0",
        for_seconds=600,
        severity="warning",
        summary="{{ $labels.function }} does not run any more",
        description="{{ $labels.function }} in {{ $labels.queue }} ran in every hour of the last day, and "
        "in the last one "
        "not at all.",
        dashboard="rq-jobs",
        panel="Executions by function",
        chosen=("queue", "function"),
    ),
)
