"""The recording rules: what alerts and dashboards ask more than once, or over hours.

Rates over hours are averages of those over 5 minutes: the raw counters of 1,500 pairs of queue and function
would be some 13 million samples at each evaluation.
"""

from dashboards.alerts.model import QUEUE, SERVER, Group, Recording


def groups() -> list[Group]:
    """Those of queues, jobs and workers; objectives have their own."""
    return [
        Group(name="rq-jobs-rates", rules=_jobs()),
        Group(name="rq-queues-pace", rules=_queues()),
        Group(name="rq-workers-use", rules=_workers()),
        # A day of it is read at once: 2,880 samples a pair and not 17,280.
        Group(name="rq-functions-hourly", rules=[_hourly()], interval_seconds=30),
    ]


def _jobs() -> list[Recording]:
    # Which of the rate-limited and abandoned executions ran again is known by queue alone: as many as its
    # retries that `retried` does not explain.
    failed = f"""
sum by ({QUEUE}) (rate(rq_jobs_processed_total{{outcome="failed"}}[5m]))
+ clamp_min(
  sum by ({QUEUE}) (rate(rq_jobs_processed_total{{outcome=~"abandoned|rate_limited"}}[5m]))
  - clamp_min(
    sum by ({QUEUE}) (rate(rq_job_retries_total[5m])) - queue:rq_jobs_retried:rate5m, 0
  ), 0
)"""
    return [
        Recording(
            record="queue_function:rq_jobs_processed:rate5m",
            expr=f"sum by ({QUEUE}, function) (rate(rq_jobs_processed_total[5m]))",
            labels=f"{QUEUE}, function",
        ),
        Recording(
            record="queue:rq_jobs_processed:rate5m",
            expr=f"sum by ({QUEUE}) (queue_function:rq_jobs_processed:rate5m)",
            labels=QUEUE,
        ),
        # For how many there were within hours, by its rise: a function's first execution is in it.
        Recording(
            record="queue:rq_jobs_processed:sum",
            expr=f"sum by ({QUEUE}) (rq_jobs_processed_total)",
            labels=QUEUE,
        ),
        Recording(
            record="queue:rq_jobs_retried:rate5m",
            expr=f'sum by ({QUEUE}) (rate(rq_jobs_processed_total{{outcome="retried"}}[5m]))',
            labels=QUEUE,
        ),
        Recording(record="queue:rq_jobs_failed:rate5m", expr=failed.strip(), labels=QUEUE),
        Recording(
            record="queue:rq_jobs_failed:ratio_rate5m",
            expr="queue:rq_jobs_failed:rate5m / (queue:rq_jobs_processed:rate5m > 0)",
            labels=QUEUE,
        ),
        # Those that failed, or may have.
        *(
            Recording(
                record=f"queue:rq_jobs_{what}:sum",
                expr=f"sum by ({QUEUE}) (rq_jobs_processed_total{{outcome{matcher}}})",
                labels=QUEUE,
            )
            for what, matcher in (("failing", '=~"failed|abandoned|rate_limited"'), ("retried", '="retried"'))
        ),
        *(
            Recording(
                record=f"queue:rq_job_{what}_seconds:p{percent}_rate5m",
                expr=f"histogram_quantile(0.{percent}, "
                f"sum by ({QUEUE}, le) (rate(rq_job_{what}_seconds_bucket[5m]))) >= 0",
                labels=QUEUE,
            )
            for what in ("wait", "run")
            for percent in (50, 95)
        ),
    ]


def _queues() -> list[Recording]:
    # What workers count that listen to one queue alone: of plain `rq worker`s there is no more.
    own = " + ".join(f'rate(rq_workers_{how}_total{{queues!~".*,.*"}}[5m])' for how in ("success", "failed"))
    return [
        *(
            Recording(
                record=f"queue:rq_jobs_{status}:sum",
                expr=f'sum by ({QUEUE}) (rq_jobs{{status="{status}"}})',
                labels=QUEUE,
            )
            for status in ("queued", "started", "deferred")
        ),
        Recording(
            record="queue:rq_jobs_ended:rate5m",
            expr=f'queue:rq_jobs_processed:rate5m or sum by ({QUEUE}) (label_join({own}, "queue", "", '
            f'"queues"))',
            labels=QUEUE,
        ),
        # A day at most: nothing leaves it.
        Recording(
            record="queue:rq_jobs_queued:drain_seconds",
            expr="clamp_max((queue:rq_jobs_queued:sum > 0) / queue:rq_jobs_ended:rate5m, 86400) "
            "or 0 * (queue:rq_jobs_queued:sum == 0)",
            labels=QUEUE,
        ),
        # Of workers that listen to one queue alone: of the others nobody knows for which one they wait.
        Recording(
            record="queue:rq_workers_idle:sum",
            expr=f'sum by ({QUEUE}) (label_replace(rq_workers{{state="idle", queues!~".*,.*"}}, '
            '"queue", "$1", "queues", "(.*)")) or 0 * rq_queue_workers',
            labels=QUEUE,
        ),
    ]


def _workers() -> list[Recording]:
    return [
        Recording(
            record="redis:rq_workers:sum", expr=f"sum by ({SERVER}) (rq_workers_by_state)", labels=SERVER
        ),
        Recording(
            record="redis:rq_workers_busy:ratio",
            expr=f'sum by ({SERVER}) (rq_workers_by_state{{state="busy"}}) / (redis:rq_workers:sum > 0)',
            labels=SERVER,
        ),
        # After Redis was away all are overdue.
        Recording(
            record="redis:rq_worker_heartbeat:stale",
            expr="(rq_workers_stale > bool 0) * min_over_time(rq_redis_up[2m])",
            labels=SERVER,
        ),
    ]


def _hourly() -> Recording:
    return Recording(
        record="queue_function:rq_jobs_processed:rate1h",
        expr="avg_over_time(queue_function:rq_jobs_processed:rate5m[1h])",
        labels=f"{QUEUE}, function",
    )
