"""The panel about the exporter that the RQ Dashboard and RQ Monitoring share."""

from grafanalib import core

from dashboards.kit import panels
from dashboards.kit.queries import rate
from dashboards.kit.theme import INFO
from rqmon.metrics import RQ_REQUEST_PROCESSING_SECONDS

COLLECTION_SECONDS = (
    f"{rate(RQ_REQUEST_PROCESSING_SECONDS, '_sum')} / {rate(RQ_REQUEST_PROCESSING_SECONDS, '_count')}"
)


def collection_time() -> core.TimeSeries:
    """How long reading Redis takes, over time."""
    return panels.timeseries(
        "Collection time history",
        "The average time to read Redis for one scrape. Rising with the same queues and workers: Redis "
        "is slow or far away.",
        {"Collection time": COLLECTION_SECONDS},
        unit="s",
        width=24,
        colors={"Collection time": INFO},
    )
