"""Alerts about queues: jobs that wait, and why."""

from dashboards.alerts.model import SERVER, Alert
from rqmon.thresholds import DRAIN_TIME, OLDEST_JOB_AGE, SCHEDULED_DELAY

_CHOSEN = ("queue",)
# Jobs run there, unless a worker that listens to it alone was idle all the time.
_BUSY = """
(max_over_time(queue:rq_jobs_started:sum[5m]) > 0 unless min_over_time(queue:rq_workers_idle:sum[5m]) > 0)
""".strip()
_STALLED = f"""
rq_queue_oldest_job_age_seconds > {OLDEST_JOB_AGE.critical}
and rq_queue_workers > 0
unless queue:rq_jobs_ended:rate5m > 0
unless {_BUSY}
unless on ({SERVER}) rq_suspended == 1
""".strip()

ALERTS = (
    Alert(
        name="RQQueueNoWorkers",
        fault="The workers of a queue were stopped, died, or listen to other names.",
        expr="queue:rq_jobs_queued:sum > 0 and rq_queue_workers == 0",
        for_seconds=120,
        keep_firing_for_seconds=60,
        severity="critical",
        summary="Nobody works on {{ $labels.queue }}",
        description='{{ $value | printf "%.0f" }} jobs wait in {{ $labels.queue }}, and no worker listens '
        "to it.",
        dashboard="rq-queues",
        panel="Workers by queue",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQQueueStalled",
        fault="Workers of a queue live and take nothing from it.",
        expr=_STALLED,
        for_seconds=300,
        severity="critical",
        summary="{{ $labels.queue }} stands still",
        description="The oldest job of {{ $labels.queue }} has waited for {{ $value | humanizeDuration }}, "
        "workers "
        "listen, and none has ended or run a job for 5 minutes.",
        dashboard="rq-queues",
        panel="Oldest job by queue",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQQueueLatencyHigh",
        fault="A queue has fewer workers than its jobs need.",
        # RQ that is suspended has its own alert, later.
        expr="rq_queue_oldest_job_age_seconds > queue:rq_job_wait_objective:seconds "
        f"unless on ({SERVER}) rq_suspended == 1",
        for_seconds=300,
        keep_firing_for_seconds=120,
        severity="warning",
        summary="Jobs of {{ $labels.queue }} wait long",
        description="The oldest job of {{ $labels.queue }} has waited for {{ $value | humanizeDuration }}; "
        "for 5 minutes "
        "it has been more than the queue's objective.",
        dashboard="rq-queues",
        panel="Oldest job by queue",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQQueueNotDraining",
        fault="More jobs come to a queue than its workers do.",
        expr=f"queue:rq_jobs_queued:drain_seconds > {DRAIN_TIME.alert} and queue:rq_jobs_ended:rate5m > 0 "
        "and deriv(queue:rq_jobs_queued:sum[30m]) > 0",
        for_seconds=900,
        severity="warning",
        summary="{{ $labels.queue }} grows faster than it is worked on",
        description="At its present pace {{ $labels.queue }} needs {{ $value | humanizeDuration }} to get "
        "empty, and it "
        "has grown for half an hour.",
        dashboard="rq-queues",
        panel="Backlog by queue",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQIntermediateQueueStuck",
        fault="A worker died between taking a job and starting it.",
        expr="min_over_time(rq_queue_intermediate_jobs[10m]) > 0 and rq_queue_intermediate_jobs offset 10m "
        "> 0",
        for_seconds=60,
        severity="warning",
        summary="Jobs of {{ $labels.queue }} are stuck before their start",
        description='{{ $value | printf "%.0f" }} jobs or more were taken from {{ $labels.queue }} and did '
        "not start, "
        "for 10 minutes.",
        dashboard="rq-queues",
        panel="Intermediate jobs by queue",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQScheduledOverdue",
        fault="No worker of a queue runs RQ's scheduler.",
        expr="rq_queue_scheduled_overdue_jobs > 0 "
        f"and rq_queue_scheduled_delay_seconds > {SCHEDULED_DELAY.critical}",
        for_seconds=120,
        keep_firing_for_seconds=60,
        severity="critical",
        summary="Scheduled jobs of {{ $labels.queue }} are not queued",
        description='{{ $value | printf "%.0f" }} jobs of {{ $labels.queue }} are due, the first for more '
        "than "
        f"{SCHEDULED_DELAY.critical} seconds, and nobody queues them.",
        dashboard="rq-queues",
        panel="Worst delay by queue",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQDeferredStuck",
        fault="What jobs wait for failed, was canceled or was deleted.",
        # resets() counts how often it fell.
        expr="min_over_time(queue:rq_jobs_deferred:sum[2h]) > 0 and queue:rq_jobs_deferred:sum offset 2h > 0 "
        "and resets(queue:rq_jobs_deferred:sum[2h]) == 0",
        for_seconds=300,
        severity="warning",
        summary="Jobs of {{ $labels.queue }} wait for other jobs in vain",
        description='{{ $value | printf "%.0f" }} jobs or more of {{ $labels.queue }} have waited for other '
        "jobs for "
        "2 hours, and not one was released.",
        dashboard="rq-dashboard",
        panel="Deferred",
        chosen=_CHOSEN,
    ),
    Alert(
        name="RQQueueSuspended",
        fault="Somebody ran `rq suspend`.",
        expr="rq_suspended == 1",
        for_seconds=600,
        severity="warning",
        summary="RQ is suspended",
        description="For 10 minutes workers have been told to take no jobs from any queue.",
        dashboard="rq-workers",
        panel="Taking jobs",
    ),
)
