"""The dashboards' template variables, and the data source that every panel asks."""

from grafanalib.core import Template

from dashboards.catalog import RQ_JOBS

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def datasource() -> Template:
    """Which Prometheus to ask."""
    return Template(name="datasource", label="Data source", query="prometheus", type="datasource")


def queue() -> Template:
    """Which queues to show: all of them, whenever they were made, or any choice."""
    return Template(
        name="queue",
        label="Queue",
        query=f"label_values({RQ_JOBS.name}, queue)",
        dataSource=DATASOURCE,
        default="$__all",
        includeAll=True,
        allValue=".*",
        multi=True,
    )
