"""Sends every query of the dashboards, and judges each answer: is it there, and is it plausible?"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from rqmon.preview.draw.frames import Answer, Frame, frames_of
from rqmon.preview.fetch import choices_of, fetch
from rqmon.preview.grafana.model import Annotation, Dashboard, Panel, Target, Variable
from rqmon.preview.grafana.queries import plan, plan_annotation
from rqmon.preview.grafana.timerange import TimeRange
from rqmon.preview.grafana.variables import Value, chosen, value_of
from rqmon.preview.prometheus import Prometheus, QueryError
from rqmon.preview.web.view_state import state_from_query

# Part of a query -> why it finds nothing under the demo's load.
EXPECTED_EMPTY = {
    "queue:rq_job_wait_objective:burnrate1h": "no job waits longer than its queue's objective",
    "queue:rq_job_wait_objective:burnrate5m": "no job waits longer than its queue's objective",
    "label_values(rq_redis_up, redis)": "only one Redis; metrics name it if there are several",
    "ALERTS": "no alert fires",
    "rq_scrape_errors_total": "Redis answers every scrape",
    "rq_work_horses_killed_total": "no job's process is killed",
    "rq_redis_evicted_keys_total": "Redis has enough memory",
    "rq_redis_memory_max_bytes": "Redis has no memory limit here",
    "rq_exporter_build_info offset": "nothing is deployed while it runs",
    "delta(rq_cron_processes": "no cron process ends",
    "topk(1, max by (queue) (max by (queue) (rq_queue_scheduled_delay_seconds": "no scheduled job is overdue",
    'state="idle"': "the demo may keep every worker busy",
    'state="started"': "no worker starts at the moment of a scrape",
    'state="suspended"': "nobody suspends the workers",
    "count((sum by (redis, queue) (rq_jobs": "every queue has a worker",
    "unless max by (redis, name) (rq_workers": "no worker goes away",
    'outcome="abandoned"': "no worker dies",
    'outcome="stopped"': "nobody stops a job",
    'outcome="late"': "the cron process keeps up",
    'outcome="missed"': "the cron process keeps up",
    'outcome="skipped"': "no cron job overlaps the next",
}
# Fallbacks to zero, which would hide that a query is wrong, and their replacement: nothing.
_FALLBACK, _NO_FALLBACK = "vector(0)", "(vector(0) < 0)"
_AGAIN_SECONDS = 2.0
# Functions that turn whole numbers into fractions.
_FRACTIONS = re.compile(r"\b(rate|irate|increase|delta|deriv|avg|avg_over_time|\w*quantile\w*)\b|/")
_COUNTS = ("locale", "short", "none")
_ROUNDING = 1e-9


class State(StrEnum):
    """The judgement of an answer."""

    OK = "ok"
    EMPTY = "empty"
    EXPECTED = "empty, as expected"
    OUT_OF_RANGE = "out of range"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state and its details."""

    state: State
    details: str = ""

    @property
    def is_problem(self) -> bool:
        """Whether somebody has to act on it."""
        return self.state not in (State.OK, State.EXPECTED)

    def __str__(self) -> str:
        return f"{self.state}: {self.details}" if self.details else str(self.state)


# (panel, query, verdict)
Row = tuple[str, str, Verdict]


async def ask_all(
    url: str, dashboards: Iterable[Dashboard], *, patience_seconds: float
) -> list[tuple[str, list[Row]]]:
    """Yield (title, rows) for each dashboard.

    A query that finds nothing is repeated for a while: the data may be younger than a step of its graph, or
    just be missing at that moment.
    """
    prometheus = Prometheus(url)
    deadline = time.monotonic() + patience_seconds
    try:
        interval = await prometheus.scrape_interval_seconds()
        return [(d.title, await _Asking(prometheus, d, interval, deadline).rows()) for d in dashboards]
    finally:
        await prometheus.close()


class _Asking:
    """One dashboard as it opens: with its own time range, and All or the first value of each variable."""

    def __init__(
        self, prometheus: Prometheus, dashboard: Dashboard, interval: float, deadline: float
    ) -> None:
        self._prometheus = prometheus
        self._dashboard = dashboard
        self._interval = interval
        self._deadline = deadline
        self._values = {
            v.name: value_of(v, chosen(v, None, v.choices), v.choices) for v in dashboard.variables
        }

    async def rows(self) -> list[Row]:
        panels = [panel for section in self._dashboard.sections for panel in section.panels]
        asked = [(panel, target) for panel in panels for target in panel.targets]
        verdicts = await asyncio.gather(
            *(self._patiently(partial(self._verdict, panel, target)) for panel, target in asked)
        )
        of_panels = [
            (panel.title, f"{target.ref_id}: {target.legend_format}", verdict)
            for (panel, target), verdict in zip(asked, verdicts, strict=True)
        ]
        variables = [v for v in self._dashboard.variables if v.type == "query"]
        return [
            *[("Variable", v.label, await self._patiently(partial(self._of_variable, v))) for v in variables],
            *of_panels,
            *[("Annotation", a.name, await self._of_annotation(a)) for a in self._dashboard.annotations],
        ]

    async def _patiently(self, ask_once: Callable[[], Awaitable[Verdict]]) -> Verdict:
        while (verdict := await ask_once()).state is State.EMPTY and time.monotonic() < self._deadline:
            await asyncio.sleep(_AGAIN_SECONDS)
        return verdict

    def _range(self) -> TimeRange:
        now = time.time()
        return state_from_query(self._dashboard, (), now=now)[0].range_at(now)

    async def _of_variable(self, variable: Variable) -> Verdict:
        choices = await choices_of(self._prometheus, variable, self._values, self._range())
        return Verdict(State.OK) if choices else empty(variable.query)

    async def _of_annotation(self, annotation: Annotation) -> Verdict:
        found = await fetch(
            self._prometheus, plan_annotation(annotation, self._range(), self._values, self._interval)
        )
        if isinstance(found, QueryError):
            return Verdict(State.ERROR, str(found))
        return Verdict(State.OK) if found else empty(annotation.expr)

    async def _verdict(self, panel: Panel, target: Target) -> Verdict:
        bare = replace(target, expr=target.expr.replace(_FALLBACK, _NO_FALLBACK))
        panel, target = replace(panel, targets=(bare,)), bare
        planned = plan(panel, self._range(), self._values, scrape_interval_seconds=self._interval)
        query = next(query for planned_target, query in planned if planned_target is target)
        found = await fetch(self._prometheus, query)
        if isinstance(found, QueryError):
            return Verdict(State.ERROR, str(found))
        return judge(panel, Answer(target, found, query.times), self._values)


def judge(panel: Panel, answer: Answer, values: Mapping[str, Value]) -> Verdict:
    """Judge the answer to one query of a panel."""
    found, _ = frames_of(panel, [answer], values)
    frames = [frame for frame in found if any(value is not None for value in frame.values)]
    if not frames:
        return empty(answer.target.expr)
    for frame in frames:
        if problem := _out_of_range(frame, answer.target.expr):
            return Verdict(State.OUT_OF_RANGE, f"{frame.name}: {problem}")
    return Verdict(State.OK)


def empty(expr: str) -> Verdict:
    """Judge a query that found nothing."""
    reasons = [
        reason
        for asked, reason in EXPECTED_EMPTY.items()
        if re.search(rf"(?<!\w){re.escape(asked)}(?!\w)", expr)
    ]
    return Verdict(State.EXPECTED, reasons[0]) if reasons else Verdict(State.EMPTY)


def _out_of_range(frame: Frame, expr: str) -> str:
    known = [value for value in frame.values if value is not None]
    low, high = min(known), max(known)
    if high == float("inf"):
        return "infinite"
    whole = {"percentunit": 1.0, "percent": 100.0}.get(frame.field.unit)
    if whole is not None:
        whole = max(whole, frame.field.max or 0)  # a panel may allow more than the whole, by its max
        if low < -_ROUNDING or high > whole + _ROUNDING:
            return f"{low:g} to {high:g} is not within 0 to {whole:g}"
    elif frame.field.unit in _COUNTS:
        if low < 0:
            return f"a count of {low:g}"
        fractions = [value for value in known if value != int(value)]
        if fractions and not _FRACTIONS.search(re.sub(r'"[^"]*"', "", expr)):
            return f"a count of {fractions[0]:g}"
    return ""
