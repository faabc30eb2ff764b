"""What the exporter says of itself, as rq-exporter does: its process, its errors, its versions."""

import platform
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    Summary,
)

from rqmon.entry_point import installed_version
from rqmon.exporter.scrapes import REASONS
from rqmon.metrics import RQ_EXPORTER_BUILD_INFO, RQ_REQUEST_PROCESSING_SECONDS, RQ_SCRAPE_ERRORS_TOTAL


def own_metrics() -> tuple[CollectorRegistry, Counter, Summary]:
    """A registry of them, and of these the errors and the time of readings, which scrapes count."""
    own = CollectorRegistry()
    for collector in (GCCollector, PlatformCollector, ProcessCollector):
        collector(registry=own)
    errors = Counter(RQ_SCRAPE_ERRORS_TOTAL.name, RQ_SCRAPE_ERRORS_TOTAL.help, ["reason"], registry=own)
    for reason in REASONS:
        errors.labels(reason)
    processing = Summary(RQ_REQUEST_PROCESSING_SECONDS.name, RQ_REQUEST_PROCESSING_SECONDS.help, registry=own)
    build = Gauge(
        RQ_EXPORTER_BUILD_INFO.name, RQ_EXPORTER_BUILD_INFO.help, RQ_EXPORTER_BUILD_INFO.labels, registry=own
    )
    build.labels(installed_version(), version("rq"), platform.python_version()).set(1)
    return own, errors, processing
