"""Alerts about workers: too few, too silent, or killed."""

from dashboards.alerts.jobs import KILLED
from dashboards.alerts.model import SERVER, Alert
from rqmon.thresholds import BUSY_SHARE

ALERTS = (
    Alert(
        name="RQWorkersSaturated",
        fault="All workers are busy, and jobs wait.",
        expr=f"avg_over_time(redis:rq_workers_busy:ratio[5m]) >= {BUSY_SHARE.alert} and on ({SERVER}) "
        # A queue that nobody listens to needs its own workers, not more of these.
        "(rq_queue_oldest_job_age_seconds > queue:rq_job_wait_objective:seconds and rq_queue_workers > 0)",
        # Not later than RQQueueLatencyHigh of these queues, which is not told beside it.
        for_seconds=60,
        keep_firing_for_seconds=120,
        severity="warning",
        summary="There are too few workers",
        description="Workers have been busy for {{ $value | humanizePercentage }} of 5 minutes, and jobs "
        "wait longer than "
        "their queue's objective.",
        dashboard="rq-workers",
        panel="Capacity",
    ),
    Alert(
        name="RQWorkerHeartbeatStale",
        fault="A worker hangs, or was killed.",
        expr="rq_worker_heartbeat_age_max_seconds and redis:rq_worker_heartbeat:stale == 1",
        for_seconds=10,
        # Its key ends soon after, and with it what is known of it.
        keep_firing_for_seconds=600,
        severity="warning",
        summary="A worker shows no sign of life",
        description="A registered worker's sign of life is overdue. The oldest of all workers is "
        "{{ $value | humanizeDuration }} old.",
        dashboard="rq-workers",
        panel="Silent workers",
    ),
    Alert(
        name="RQHorsesKilled",
        fault="The process of a job was killed, for lack of memory for the most part.",
        expr=f"{KILLED} > 0",
        for_seconds=0,
        severity="warning",
        summary="Processes of {{ $labels.queue }}'s jobs are killed",
        description='{{ $value | printf "%.0f" }} processes were killed, or exited, in 15 minutes before '
        "they had "
        "finished their job of {{ $labels.queue }}.",
        dashboard="rq-jobs",
        panel="Killed and abandoned",
        chosen=("queue",),
    ),
    Alert(
        name="RQWorkersGone",
        fault="Workers died, and nobody started them again.",
        # One that is stopped says goodbye; one that died leaves an old sign of life.
        expr="redis:rq_workers:sum < redis:rq_workers:sum offset 1h "
        "and max_over_time(redis:rq_worker_heartbeat:stale[1h]) == 1",
        for_seconds=300,
        severity="warning",
        summary="Workers died",
        description='{{ $value | printf "%.0f" }} workers are left, fewer than an hour ago, and one or more '
        "went without "
        "being stopped.",
        dashboard="rq-workers",
        panel="Workers gone",
    ),
)
