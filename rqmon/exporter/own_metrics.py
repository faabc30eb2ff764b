"""The exporter's metrics about itself, as in rq-exporter: its process, errors and versions."""

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
    """Return their registry, and the two that scrapes update: the errors and the time of readings."""
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
