"""A query that could never have data is an error when the dashboards are generated, not an empty panel."""

from collections.abc import Callable

import pytest

from dashboards.kit.queries import increase, jobs, largest, quantile, rate, select, share, total
from rqmon.metrics import (
    METRICS,
    RQ_JOB_RUN_SECONDS,
    RQ_JOBS,
    RQ_JOBS_PROCESSED_TOTAL,
    RQ_QUEUE_WORKERS,
    RQ_REQUEST_PROCESSING_SECONDS,
    RQ_WORKERS,
    SCRAPE_DURATION_SECONDS,
    UP,
)


def test_a_selector_is_narrowed_to_the_chosen_queues() -> None:
    assert select(RQ_JOBS, status="failed") == 'rq_jobs{status="failed", queue=~"$queue", redis=~"$redis"}'


def test_a_worker_is_chosen_by_any_of_its_queues() -> None:
    assert select(RQ_WORKERS) == 'rq_workers{queues=~"(.*,)?($queue)(,.*)?", redis=~"$redis"}'


def test_up_is_the_exporters_own() -> None:
    assert select(UP) == 'up{job="rq-exporter"}'


def test_prometheus_has_no_metrics_of_a_redis() -> None:
    assert select(SCRAPE_DURATION_SECONDS) == "scrape_duration_seconds"


def test_a_label_that_the_metric_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"rq_jobs has no label \['state'\]"):
        select(RQ_JOBS, state="busy")


@pytest.mark.parametrize(
    "query",
    [
        lambda: jobs("state"),
        lambda: share("queue, state"),
        lambda: total(RQ_QUEUE_WORKERS, by="state"),
        lambda: total(RQ_QUEUE_WORKERS, state="busy"),
        lambda: largest(RQ_QUEUE_WORKERS, by="state"),
        lambda: rate(RQ_JOBS_PROCESSED_TOTAL, by="state"),
        lambda: rate(RQ_JOBS_PROCESSED_TOTAL, state="busy"),
        lambda: rate(RQ_JOBS_PROCESSED_TOTAL, by="le"),
        lambda: rate(RQ_JOB_RUN_SECONDS, "_count", le="30.0"),
        lambda: increase(RQ_JOBS_PROCESSED_TOTAL, by="queue, state"),
        lambda: quantile(0.95, RQ_JOB_RUN_SECONDS, by="state"),
    ],
)
def test_no_query_keeps_or_matches_a_label_that_the_metric_lacks(query: Callable[[], str]) -> None:
    with pytest.raises(ValueError, match=r"has no label \['(state|le)'\]"):
        query()


def test_a_histogram_is_chosen_by_a_buckets_bound() -> None:
    assert rate(RQ_JOB_RUN_SECONDS, "_bucket", by="queue", le="30.0") == (
        'sum by (queue) (rate(rq_job_run_seconds_bucket{le="30.0", queue=~"$queue", function=~"$function", '
        'redis=~"$redis"}[$__rate_interval]))'
    )


def test_what_is_known_by_queue_alone_stands_beside_every_function() -> None:
    assert rate(RQ_JOBS_PROCESSED_TOTAL, by="queue", any_function=True) == (
        'sum by (queue) (rate(rq_jobs_processed_total{queue=~"$queue", redis=~"$redis"}[$__rate_interval]))'
    )


def test_a_summary_has_no_sample_of_its_own_name() -> None:
    with pytest.raises(ValueError, match="rq_request_processing_seconds has no sample"):
        select(RQ_REQUEST_PROCESSING_SECONDS)


def test_a_rate_follows_the_graphs_step() -> None:
    assert rate(RQ_REQUEST_PROCESSING_SECONDS, "_sum") == (
        "sum(rate(rq_request_processing_seconds_sum[$__rate_interval]))"
    )


def test_a_share_never_divides_by_zero() -> None:
    assert share("status").endswith('/ scalar(clamp_min(sum(rq_jobs{queue=~"$queue", redis=~"$redis"}), 1))')


def test_each_metric_is_in_the_catalog_once_and_counters_end_in_total() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.type == "counter"), metric.name
        assert metric.help.endswith(".")
