"""Fetches a page's data from Prometheus; a wrong query affects only its own panel."""

from collections.abc import Mapping

from rqmon.preview.grafana.model import ALL, Variable
from rqmon.preview.grafana.queries import Query
from rqmon.preview.grafana.timerange import TimeRange
from rqmon.preview.grafana.variables import Value, choices_from, label_query
from rqmon.preview.prometheus import Prometheus, QueryError, Series


async def fetch(prometheus: Prometheus, query: Query) -> list[Series] | QueryError:
    """Return the answer to a query, or why Prometheus refused it.

    Raises:
        PrometheusUnreachableError: Prometheus does not answer.
    """
    try:
        if not query.step_seconds:
            return await prometheus.query(query.expr, at=query.end)
        return await prometheus.query_range(
            query.expr, start=query.start, end=query.end, step_seconds=query.step_seconds
        )
    except QueryError as error:
        return error


async def choices_of(
    prometheus: Prometheus, variable: Variable, values: Mapping[str, Value], time_range: TimeRange
) -> list[tuple[str, str]]:
    """Return pairs of text and value to choose from; none if Prometheus refuses the variable's query."""
    if variable.type == "datasource":
        return [("Prometheus", variable.current[0] if variable.current else "prometheus")]
    asked = label_query(variable, values) if variable.type == "query" else None
    if asked is None:
        return [choice for choice in variable.choices if choice[1] != ALL]
    label, selector = asked
    try:
        found = await prometheus.label_values(
            label, match=selector, start=time_range.start, end=time_range.end
        )
    except QueryError:
        found = []
    return choices_from(variable, found)
