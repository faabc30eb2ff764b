"""A query that could never have data is an error when the dashboards are generated, not an empty panel."""

import pytest

from dashboards.catalog import (
    METRICS,
    RQ_JOBS,
    RQ_REQUEST_PROCESSING_SECONDS,
    RQ_WORKERS,
    SCRAPE_DURATION_SECONDS,
    UP,
)
from dashboards.queries import rate, select, share


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
