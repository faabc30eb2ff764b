"""The dashboards' template variables, including the data source of every panel."""

from grafanalib.core import HIDE_VARIABLE, REFRESH_ON_TIME_RANGE_CHANGE, Template

from rqmon.metrics import RQ_JOBS, RQ_JOBS_PROCESSED_TOTAL, RQ_REDIS_UP, Metric
from rqmon.ports import DEFAULT_PORTS

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def datasource() -> Template:
    """The Prometheus to query."""
    return Template(name="datasource", label="Data source", query="prometheus", type="datasource")


def every() -> list[Template]:
    """All variables; a dashboard leaves out those that would change nothing on it."""
    return [
        datasource(),
        _labels("redis", "Redis", RQ_REDIS_UP),
        _labels("queue", "Queue", RQ_JOBS),
        _labels("function", "Function", RQ_JOBS_PROCESSED_TOTAL),
        rq_dashboard(),
    ]


def rq_dashboard() -> Template:
    """The address of rq-dashboard, for the links to jobs; an import asks for it."""
    return Template(
        name="rq_dashboard",
        label="Address of rq-dashboard",
        query=f"http://127.0.0.1:{DEFAULT_PORTS['RQ_DASHBOARD_PORT']}",
        type="constant",
        hide=HIDE_VARIABLE,
    )


def _labels(name: str, label: str, metric: Metric) -> Template:
    """A choice among all values of a label, whenever they were seen."""
    return Template(
        name=name,
        label=label,
        query=f"label_values({metric.name}, {name})",
        dataSource=DATASOURCE,
        default="$__all",
        includeAll=True,
        allValue=".*",
        multi=True,
        refresh=REFRESH_ON_TIME_RANGE_CHANGE,
    )
