"""`python -m dashboards.lint`: checks the generated JSON against grafana/dashboard-linter's rules.

Rules have the linter's names; target-gauge-rule, target-instant-rule, target-peak-rule, panel-sort-rule,
panel-unknown-rule and template-unused-rule are ours. Left out: job and instance variables (this bundle's
metrics have `redis` instead, to which every query is narrowed) and "uneditable" (which provisioning sets).
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboards.alerts.files import recorded
from dashboards.alerts.model import Recording
from dashboards.kit.theme import OK
from dashboards.kit.variables import DATASOURCE
from dashboards.lint import promql
from dashboards.paths import DASHBOARDS, ROOT
from rqmon import objectives
from rqmon.metrics import ALERTS, METRICS, WATCHDOG

Json = dict[str, Any]

SINGLE_VALUES = ("stat", "gauge", "bargauge", "table", "piechart")
TILES = ("stat", "gauge", "bargauge")
# Windows of single values that intentionally do not follow the time range, and why.
WINDOWS = {
    "5m": "about now: one slow job must not make the number jump",
    "$__range": "about all of the chosen time range",
}
RATES = {("rate",), ("irate",), ("increase",)}
OVER_TIME = {f"{name}_over_time" for name in ("avg", "count", "last", "max", "min", "quantile", "sum")}
# The metric that tells whether another metric's source answers.
ANSWERS = {"up", "rq_redis_up"}
# What tells whether rules are evaluated.
_WATCHED = f'{ALERTS.name}{{alertname="{WATCHDOG}"'
GAUGE_FUNCTIONS = {"rate", "delta", "deriv"} | OVER_TIME
COUNTER_FUNCTIONS = {"rate", "irate", "increase", "changes", "resets"} | OVER_TIME
AGGREGATIONS = {"sum", "avg", "max", "min", "count", "topk", "bottomk", "quantile", "group"}
SAMPLES = {sample for metric in METRICS for sample in metric.samples}
RECORDED = {
    rule.record
    for group in recorded(objectives.read())
    for rule in group.rules
    if isinstance(rule, Recording)
}
GAUGES = {sample for metric in METRICS if metric.type == "gauge" for sample in metric.samples}
INFOS = {sample for metric in METRICS if metric.unit == "info" for sample in metric.samples}
COUNTERS = {sample for metric in METRICS if metric.type != "gauge" for sample in metric.samples}


@dataclass(frozen=True)
class Exclusion:
    """A rule that one panel of one dashboard may break."""

    uid: str
    panel: str
    rule: str
    reason: str


EXCLUSIONS = (
    Exclusion(
        "rq-limits",
        "Rate-limited executions by function",
        "target-counter-rule",
        "the bare counter only chooses the functions that ever met a limit",
    ),
    *(
        Exclusion(uid, "Worker states", "target-peak-rule", "which of a worker's states of a step is shown?")
        for uid in ("rq-dashboard", "rq-workers")
    ),
    Exclusion(
        "rq-queues",
        "Queues served",
        "target-peak-rule",
        "jobs and workers of one moment: of different moments they say nothing",
    ),
    Exclusion(
        "rq-workers",
        "Workers gone",
        "target-peak-rule",
        "those of the step that are gone at its end",
    ),
)


@dataclass(frozen=True)
class Problem:
    """A broken rule; `panel` is empty if it is about the whole dashboard."""

    uid: str
    panel: str
    rule: str
    what_to_do: str

    def __str__(self) -> str:
        return f"{self.uid}: {self.panel or '(dashboard)'}: {self.rule}: {self.what_to_do}"


def lint(dashboards: Sequence[Json], exclusions: Sequence[Exclusion] = EXCLUSIONS) -> list[Problem]:
    """Return every broken rule that is not excluded, and every exclusion that excludes nothing."""
    found = [problem for dashboard in dashboards for problem in _dashboard(dashboard)]
    for uid, count in Counter(str(dashboard.get("uid")) for dashboard in dashboards).items():
        if count > 1:
            found.append(Problem(uid, "", "dashboard-identity-rule", "give each dashboard a uid of its own"))
    uids = {dashboard.get("uid") for dashboard in dashboards}
    excluded = {(e.uid, e.panel, e.rule) for e in exclusions if e.uid in uids}
    unused = excluded - {(p.uid, p.panel, p.rule) for p in found}
    return [p for p in found if (p.uid, p.panel, p.rule) not in excluded] + [
        Problem(uid, panel, rule, "no longer broken; delete its exclusion")
        for uid, panel, rule in sorted(unused)
    ]


def _dashboard(dashboard: Json) -> Iterator[Problem]:
    uid = str(dashboard.get("uid") or "(no uid)")
    panels = list(_panels(dashboard["panels"]))
    for rule, what_to_do in _of_dashboard(dashboard, panels):
        yield Problem(uid, "", rule, what_to_do)
    for panel in panels:
        title = str(panel.get("title") or f"(panel {panel.get('id')})")
        for rule, what_to_do in _of_panel(panel):
            yield Problem(uid, title, rule, what_to_do)
        for target in panel.get("targets", ()):
            for rule, what_to_do in _of_target(panel, target):
                yield Problem(uid, title, rule, f"{target.get('refId')}: {what_to_do}")


def _panels(panels: Sequence[Json]) -> Iterator[Json]:
    """Yield all panels, even those inside collapsed rows; rows themselves are not panels."""
    for panel in panels:
        if panel["type"] == "row":
            yield from _panels(panel.get("panels", ()))
        else:
            yield panel


def _of_dashboard(dashboard: Json, panels: Sequence[Json]) -> Iterator[tuple[str, str]]:
    for key in ("uid", "title", "description"):
        if not dashboard.get(key):
            yield "dashboard-identity-rule", f"give it a {key}"
    ids = Counter(panel.get("id") for panel in dashboard["panels"])
    for panel_id in (key for key, count in ids.items() if count > 1 or key is None):
        yield "panel-id-rule", f"give each panel an id of its own; {panel_id} is used {ids[panel_id]} times"

    variables: list[Json] = dashboard["templating"]["list"]
    sources = [v["name"] for v in variables if v["type"] == "datasource" and v.get("query") == "prometheus"]
    if sources != ["datasource"]:
        yield "template-datasource-rule", "add one variable of type datasource for prometheus, `datasource`"
    elif not any(panel.get("datasource") == DATASOURCE for panel in panels):
        yield "template-datasource-rule", "let the panels use the variable `datasource`"
    for variable in (v for v in variables if v["type"] == "query"):
        if variable.get("refresh") != 2:
            yield "template-on-time-change-reload-rule", f"set refresh=2 on the variable {variable['name']}"
        yield from _of_variable(variable)
    used = json.dumps([list(panels), dashboard["annotations"]["list"]])
    for name in (v["name"] for v in variables if v["type"] != "datasource"):
        if not re.search(rf"\$\{{?{re.escape(name)}\b", used):
            yield "template-unused-rule", f"take the variable {name} out: it changes nothing here"
    for annotation in (a for a in dashboard["annotations"]["list"] if "expr" in a):
        for rule, what_to_do in _of_query(annotation["expr"]):
            yield rule, f"annotation {annotation['name']}: {what_to_do}"


def _of_variable(variable: Json) -> Iterator[tuple[str, str]]:
    asked = variable["query"]["query"] if isinstance(variable["query"], dict) else variable["query"]
    match = re.fullmatch(r"label_values\((.+), *\w+\)", asked)
    problems = [("", "ask label_values(metric, label)")] if match is None else _of_query(match.group(1))
    for _, what_to_do in problems:
        yield "template-label-promql-rule", f"variable {variable['name']}: {what_to_do}"


def _of_panel(panel: Json) -> Iterator[tuple[str, str]]:
    if not panel.get("title") or not panel.get("description"):
        yield "panel-title-description-rule", "give it a title and a description"
    if panel["type"] == "text":
        return
    if panel.get("datasource") != DATASOURCE:
        yield "panel-datasource-rule", "use the variable: ${datasource}"
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        yield "panel-units-rule", "set a unit"
    if not panel.get("targets"):
        yield "panel-no-targets-rule", "give it a query"
    if panel["type"] == "table" and not panel["options"].get("sortBy"):
        yield "panel-sort-rule", "sort it: with hundreds of rows what is worst is out of sight"
    if panel["type"] in TILES and (what_to_do := _of_unknown(panel)):
        yield "panel-unknown-rule", what_to_do
    ref_ids = Counter(target.get("refId") for target in panel.get("targets", ()))
    if any(count > 1 for count in ref_ids.values()):
        yield "target-id-rule", "give each query a refId of its own"


def _of_unknown(panel: Json) -> str:
    """Say what a tile lacks for showing that its number is unknown; Grafana by itself colours it green."""
    if panel["options"]["reduceOptions"]["calcs"] != ["last"]:
        return "reduce by last: lastNotNull is an earlier value"
    mappings = panel["fieldConfig"]["defaults"].get("mappings", ())
    told = [m["options"]["result"] for m in mappings if m["options"].get("match") == "null+nan"]
    if not told or told[0].get("color") in (None, OK):
        return "map null+nan to a text and a colour that is not green"
    return ""


def _of_target(panel: Json, target: Json) -> Iterator[tuple[str, str]]:
    if target.get("datasource") != DATASOURCE:
        yield "target-datasource-rule", "use the variable: ${datasource}"
    if target.get("hide"):
        yield "target-hidden-rule", "show it or take it out"
    broken = list(_of_query(target.get("expr", "")))
    yield from broken
    if any(rule == "target-promql-rule" for rule, _ in broken):
        return
    tree = promql.parse(target["expr"])
    is_single = panel["type"] in SINGLE_VALUES
    says_total = re.search(
        r"\b(totals?|since|ever)\b", f"{panel.get('title')} {panel.get('description')}", re.I
    )
    uses = promql.uses(tree)
    if is_single and not (target.get("instant") and not target.get("range")):
        yield "target-instant-rule", "ask for now: the last point of a range is up to a step old"
    answers = _WATCHED in target["expr"] or any(use.sample in ANSWERS and not use.window for use in uses)
    if panel["type"] in TILES and not answers:
        yield "panel-unknown-rule", "wrap it in known(): without its source nothing is known"
    if _shows_peaks(panel):
        yield from _of_peaks(panel, uses)
    for use in uses:
        yield from _of_counter(use, may_be_bare=is_single and says_total is not None)
        yield from _of_window(use, WINDOWS if is_single else {})
    yield from _of_legend(panel, str(target.get("legendFormat") or ""), promql.labels(tree))


def _shows_peaks(panel: Json) -> bool:
    calcs = (panel["options"].get("legend") or {}).get("calcs") or ()
    return panel["type"] == "state-timeline" or bool({"min", "max"}.intersection(calcs))


def _of_peaks(panel: Json, uses: Sequence[promql.Use]) -> Iterator[tuple[str, str]]:
    aside = INFOS if panel["type"] == "state-timeline" else INFOS | ANSWERS
    bare = {u.sample for u in uses if u.sample in GAUGES and not GAUGE_FUNCTIONS.intersection(u.around)}
    for sample in sorted(bare.difference(aside)):
        yield (
            "target-peak-rule",
            f"{sample} between two points is lost: use max_over_time() or min_over_time()",
        )


def _of_query(expr: str) -> Iterator[tuple[str, str]]:
    try:
        tree = promql.parse(expr)
    except ValueError as error:
        yield "target-promql-rule", f"Prometheus will not read it: {error}"
        return
    for sample in sorted({use.sample for use in promql.uses(tree)} - SAMPLES - RECORDED):
        yield (
            "target-metric-rule",
            f"{sample or 'a selector'} is not in rqmon/metrics.py, and no rule records it",
        )


def _of_window(use: promql.Use, allowed: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if use.around[:1] in RATES and use.window != "$__rate_interval" and use.window not in allowed:
        yield "target-rate-interval-rule", f"{use.around[0]}() over {use.window}: use $__rate_interval"


def _of_counter(use: promql.Use, *, may_be_bare: bool) -> Iterator[tuple[str, str]]:
    if use.sample in GAUGES and use.around[:1] in RATES:
        yield "target-gauge-rule", f"{use.sample} is a gauge: use delta() or deriv()"
    if use.sample not in COUNTERS:
        return
    if not COUNTER_FUNCTIONS.intersection(use.around) and not may_be_bare:
        yield "target-counter-rule", f"wrap {use.sample} in rate(), or say in a stat that it is a total"
    if not AGGREGATIONS.intersection(use.around):
        yield "target-counter-agg-rule", f"aggregate {use.sample}, by sum() for example"


def _of_legend(panel: Json, legend: str, labels: frozenset[str] | None) -> Iterator[tuple[str, str]]:
    named = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend))
    if not legend:
        yield "target-legend-rule", "give it a legend"
    elif panel["type"] == "table":  # there each query is a column
        return
    elif labels and not named & labels:
        yield "target-legend-rule", f"say in the legend which series it is: {{{{{min(labels)}}}}}"
    elif labels is not None and named - labels:
        yield "target-legend-rule", f"its series have no label {', '.join(sorted(named - labels))}"


def main(folder: Path = ROOT / DASHBOARDS) -> None:
    """Print a line for each broken rule; exit 1 if there is one."""
    files = sorted(folder.glob("*.json"))
    problems = lint([json.loads(file.read_text(encoding="utf-8")) for file in files])
    for problem in problems:
        print(problem)  # noqa: T201 (the command's output)
    if problems or not files:
        sys.exit(1 if problems else f"{folder} has no dashboards: run make dashboards")
