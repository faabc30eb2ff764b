"""Asks Prometheus what a page needs, so that one wrong query spoils no more than its own panel."""

from collections.abc import Mapping, Sequence

from rqmon.preview.draw.annotations import Mark
from rqmon.preview.draw.frames import Answer
from rqmon.preview.grafana.model import ALL, Panel, Target, Variable
from rqmon.preview.grafana.timerange import TimeRange
from rqmon.preview.grafana.variables import Value, choices_from, label_query
from rqmon.preview.panels import Query, View, view
from rqmon.preview.prometheus import Prometheus, QueryError, Series


async def ask(prometheus: Prometheus, query: Query) -> list[Series] | QueryError:
    """The answer to a query, or why Prometheus refused it.

    Raises:
        PrometheusUnreachableError: There is no answer at all.
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
    """Pairs of text and value to choose from; none where Prometheus refuses the variable's query."""
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


def view_or_error(
    panel: Panel,
    results: Sequence[tuple[Target, Query, list[Series] | QueryError]],
    time_range: TimeRange,
    values: Mapping[str, Value],
    marks: Sequence[Mark],
) -> View:
    """What a panel shows for what its queries got: an error of one of them, if there is one."""
    answers = []
    for target, query, result in results:
        if isinstance(result, QueryError):
            return View(message=str(result), is_error=True)
        answers.append(Answer(target, result, query.times))
    try:
        return view(panel, answers, time_range, values, marks)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # One odd panel must not take the others with it.
        return View(message=f"The preview can't draw this panel's JSON ({error}).", is_error=True)
