"""PromQL over the catalog's metrics: every selector is narrowed to the dashboard's variables here."""

from collections.abc import Iterable

from rqmon.metrics import (
    ALERTS,
    ALERTS_FOR_STATE,
    EXPORTER_JOB,
    RQ_EXPORTER_BUILD_INFO,
    RQ_JOBS,
    RQ_REDIS_UP,
    RQ_REQUEST_PROCESSING_SECONDS,
    RQ_SCRAPE_ERRORS_TOTAL,
    UP,
    WATCHDOG,
    Metric,
)

RATE_INTERVAL = "$__rate_interval"
# A graph's step, so that what is counted in each is counted once.
STEP = "$__interval"
# The window of single numbers about "now": one slow job must not make them jump.
RECENT = "5m"
# The dashboard's whole time range: of single numbers and tables, which ask once.
RANGE = "$__range"
# How long the source of a graph's counters may be away without the graph losing what was counted meanwhile.
_LONGEST_GAP = "1h"
# A worker lists its queues in one label, joined by commas.
MATCHERS = {
    "queue": 'queue=~"$queue"',
    "queues": 'queues=~"(.*,)?($queue)(,.*)?"',
    "function": 'function=~"$function"',
}
# The exporter's own, about no server.
_OF_NO_REDIS = (RQ_EXPORTER_BUILD_INFO, RQ_REQUEST_PROCESSING_SECONDS, RQ_SCRAPE_ERRORS_TOTAL)


def select(metric: Metric, suffix: str = "", *, any_function: bool = False, **labels: str) -> str:
    """A selector of `metric`, narrowed to the chosen servers, queues and functions and to `labels`.

    Args:
        metric: From the catalog.
        suffix: `_sum` or `_count` of a summary, or of a histogram, which also has `_bucket`.
        any_function: Not narrowed to functions, to stand beside what is known by queue alone.
        labels: Label values that must be equal, such as `status="failed"`; `a|b` is either.

    Raises:
        ValueError: The metric has no such label or sample, so the query would stay empty.
    """
    _require(metric, suffix, labels)
    if metric.name + suffix not in metric.samples:
        raise ValueError(f"{metric.name} has no sample {metric.name + suffix}; it has {list(metric.samples)}")
    matchers = [f'{label}{"=~" if "|" in value else "="}"{value}"' for label, value in labels.items()]
    chosen = [label for label in metric.labels if not (any_function and label == "function")]
    matchers += [MATCHERS[label] for label in chosen if label in MATCHERS]
    if metric not in _OF_NO_REDIS and metric.source != "Prometheus":
        matchers.append('redis=~"$redis"')
    if metric in (ALERTS, ALERTS_FOR_STATE) and "alertname" not in labels:
        matchers.append(f'alertname!="{WATCHDOG}"')
    if metric is UP and "job" not in labels:
        matchers.append(f'job="{EXPORTER_JOB}"')
    return f"{metric.name}{suffix}" + (f"{{{', '.join(matchers)}}}" if matchers else "")


def _require(metric: Metric, suffix: str, labels: Iterable[str]) -> None:
    known = (*metric.labels, *(["le"] if suffix == "_bucket" else []), "redis")
    if unknown := set(labels) - set(known):
        raise ValueError(f"{metric.name} has no label {sorted(unknown)}; it has {list(known)}")


def _by(metric: Metric, labels: str, suffix: str = "") -> str:
    """What stands between an aggregation's name and what it aggregates."""
    if not labels:
        return ""
    _require(metric, suffix, labels.split(", "))
    return f" by ({labels}) "


def known(expr: str, *, by: Metric = RQ_REDIS_UP, **labels: str) -> str:
    """`expr` while all of its sources answer, else nothing: a part is not the whole, nor is the past now."""
    return f"({expr}) and on () (min({select(by, any_function=False, **labels)}) == 1)"


def or_zero(expr: str, *, by: Metric = RQ_REDIS_UP, **labels: str) -> str:
    """`expr`, a single number, or 0 where it has no series although its sources answer: 0 is true then."""
    return known(f"{expr} or vector(0)", by=by, **labels)


def worst(expr: str) -> str:
    """The largest of the queues' numbers and its queue; 0 of "Every queue" where none is above or unknown."""
    none = 'label_replace(vector(0), "queue", "Every queue", "", "")'
    missing = f"{jobs('queue', status='queued')} unless on (queue) ({expr})"
    return known(
        f"topk(1, max by (queue) ({expr}) > 0) or ({none} unless on () ({expr}) > 0 unless on () ({missing}))"
    )


def total(metric: Metric, *, by: str = "", **labels: str) -> str:
    """The sum of a gauge's series, kept apart by the labels `by` ("queue, function")."""
    return f"sum{_by(metric, by)}({select(metric, any_function=False, **labels)})"


def largest(metric: Metric, *, by: str = "") -> str:
    """The largest of a gauge's series, kept apart by the labels `by`."""
    return f"max{_by(metric, by)}({select(metric)})"


def peak(metric: Metric, *, by: str = "", **labels: str) -> str:
    """A graph's line of the largest of a gauge's series: the peak of each step, however short it was."""
    selector = select(metric, any_function=False, **labels)
    return f"max{_by(metric, by)}(max_over_time({selector}[{RATE_INTERVAL}]))"


def peak_total(metric: Metric, *, by: str = "", **labels: str) -> str:
    """A graph's line of the sum of a gauge's series, each at its peak of the step."""
    selector = select(metric, any_function=False, **labels)
    return f"sum{_by(metric, by)}(max_over_time({selector}[{RATE_INTERVAL}]))"


def low(metric: Metric, *, by: str) -> str:
    """A graph's line of the smallest of a gauge's series: the lowest of each step, however short it was."""
    return f"min{_by(metric, by)}(min_over_time({select(metric)}[{RATE_INTERVAL}]))"


def low_total(metric: Metric, *, by: str) -> str:
    """A graph's line of the sum of a gauge's series, each at its lowest of the step."""
    return f"sum{_by(metric, by)}(min_over_time({select(metric)}[{RATE_INTERVAL}]))"


def rate(
    metric: Metric,
    suffix: str = "",
    *,
    by: str = "",
    window: str = RATE_INTERVAL,
    any_function: bool = False,
    **labels: str,
) -> str:
    """The metric's increase a second, over all its series or kept apart by the labels `by`."""
    selector = select(metric, suffix, any_function=any_function, **labels)
    return f"sum{_by(metric, by, suffix)}(rate({selector}[{window}]))"


def increase(metric: Metric, suffix: str = "", *, by: str = "", window: str = RANGE, **labels: str) -> str:
    """How much the metric rose in the window, about: for shares, where being off cancels out."""
    selector = select(metric, suffix, any_function=False, **labels)
    return f"sum{_by(metric, by, suffix)}(increase({selector}[{window}]))"


def events(
    metric: Metric,
    suffix: str = "",
    *,
    by: str = "",
    window: str = RANGE,
    any_function: bool = False,
    **labels: str,
) -> str:
    """How often something happened within the window, a whole number, kept apart by the labels `by`.

    Not `increase()`, which makes 12 of 11 and nothing of a series' first value. A series that some reading
    in the window lacked began there: all of it happened since.
    """
    selector = select(metric, suffix, any_function=any_function, **labels)
    base = f"min_over_time({selector}[{window}])"
    if answers := _answers(metric):
        labels_of_both, up = answers
        matching = f"on ({labels_of_both}) group_left ()"
        begun = f"count_over_time({selector}[{window}]) < {matching} sum_over_time({up}[{window}])"
        base = f"(0 * ({begun}) or {base})"
    return f"sum{_by(metric, by, suffix)}(last_over_time({selector}[{window}]) - {base})"


def events_by_step(metric: Metric, suffix: str = "", *, by: str = "", **labels: str) -> str:
    """How often something happened in each step of a graph, a whole number; the steps add up to the range."""
    selector = select(metric, suffix, any_function=False, **labels)
    before = f"[{_LONGEST_GAP}] offset {STEP}"
    base = f"last_over_time({selector}{before})"
    now = f"last_over_time({selector}[{RATE_INTERVAL}])"
    if answers := _answers(metric):
        labels_of_both, up = answers
        base = f"({base} or 0 * {now} and on ({labels_of_both}) max_over_time({up}{before}) == 1)"
    return f"sum{_by(metric, by, suffix)}(clamp_min({now} - {base}, 0))"


def _answers(metric: Metric) -> tuple[str, str] | None:
    """The labels that a counter shares with what tells when it was read, and that; None if it starts at 0."""
    if metric.source == "Prometheus":
        return None
    if metric in _OF_NO_REDIS:
        return "instance", select(UP)
    return "instance, redis", select(RQ_REDIS_UP)


def quantile(share: float, metric: Metric, *, by: str = "", window: str = RATE_INTERVAL) -> str:
    """What that share of a histogram's observations stays below, kept apart by the labels `by`.

    Nothing where nothing was observed: Prometheus says NaN there, and Grafana shows that as it is.
    """
    buckets = rate(metric, "_bucket", by=", ".join(filter(None, (by, "le"))), window=window)
    return f"histogram_quantile({share}, {buckets}) >= 0"


def jobs(by: str = "", **labels: str) -> str:
    """The number of jobs with these label values, kept apart by the labels `by`."""
    return total(RQ_JOBS, by=by, **labels)


def share(by: str) -> str:
    """Jobs as a share of all jobs, kept apart by the labels `by`; 0 when there are none."""
    return f"{jobs(by)} / scalar(clamp_min({jobs()}, 1))"
