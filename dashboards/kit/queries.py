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
# A graph's step, so that each event is counted in exactly one.
STEP = "$__interval"
# The window of single numbers for "now": one slow job must not make them jump.
RECENT = "5m"
# The dashboard's whole time range, for single numbers and tables, which are queried once.
RANGE = "$__range"
# How long the source of counters may be away without a graph losing what was counted meanwhile.
_LONGEST_GAP = "1h"
# A worker lists its queues in one label, joined by commas.
MATCHERS = {
    "queue": 'queue=~"$queue"',
    "queues": 'queues=~"(.*,)?($queue)(,.*)?"',
    "function": 'function=~"$function"',
}
# The exporter's own metrics, not about a server.
_OF_NO_REDIS = (RQ_EXPORTER_BUILD_INFO, RQ_REQUEST_PROCESSING_SECONDS, RQ_SCRAPE_ERRORS_TOTAL)


def select(metric: Metric, suffix: str = "", *, any_function: bool = False, **labels: str) -> str:
    """Return a selector of `metric`, narrowed to the chosen servers, queues and functions and to `labels`.

    Args:
        metric: A metric of the catalog.
        suffix: `_sum` or `_count` of a summary or histogram, or `_bucket` of a histogram.
        any_function: Don't narrow to functions, for use with metrics that are known only by queue.
        labels: Label values to match, such as `status="failed"`; `a|b` matches either.

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


def recorded(record: str) -> str:
    """Return a recording rule's series of each queue, narrowed to the chosen servers and queues."""
    return f'{record}{{{MATCHERS["queue"]}, redis=~"$redis"}}'


def _require(metric: Metric, suffix: str, labels: Iterable[str]) -> None:
    known = (*metric.labels, *(["le"] if suffix == "_bucket" else []), "redis")
    if unknown := set(labels) - set(known):
        raise ValueError(f"{metric.name} has no label {sorted(unknown)}; it has {list(known)}")


def _by(metric: Metric, labels: str, suffix: str = "") -> str:
    """Return the ` by (...)` part of an aggregation."""
    if not labels:
        return ""
    _require(metric, suffix, labels.split(", "))
    return f" by ({labels}) "


def known(expr: str, *, by: Metric = RQ_REDIS_UP, **labels: str) -> str:
    """Return `expr` only while all its sources answer: a part is not the whole, nor the past the present."""
    return f"({expr}) and on () (min({select(by, any_function=False, **labels)}) == 1)"


def or_zero(expr: str, *, by: Metric = RQ_REDIS_UP, **labels: str) -> str:
    """Return `expr`, a single number, or 0 if it has no series though its sources answer: then 0 is true."""
    return known(f"{expr} or vector(0)", by=by, **labels)


def worst(expr: str) -> str:
    """Return the queue with the largest number; 0 for "Every queue" if none is above 0 or unknown."""
    none = 'label_replace(vector(0), "queue", "Every queue", "", "")'
    missing = f"{jobs('queue', status='queued')} unless on (queue) ({expr})"
    return known(
        f"topk(1, max by (queue) ({expr}) > 0) or ({none} unless on () ({expr}) > 0 unless on () ({missing}))"
    )


def worst_or(nothing: str, expr: str, label: str) -> str:
    """Return the largest number above 0 with its `label` alone; 0, labelled `nothing`, if there is none."""
    none = f'label_replace(vector(0), "{label}", "{nothing}", "", "")'
    return known(f"topk(1, max by ({label}) ({expr}) > 0 or {none})")


def count_naming_worst(nothing: str, count: str, expr: str, label: str) -> str:
    """Return `count`, a single number, with the `label` of the largest of `expr`; 0, labelled `nothing`."""
    largest_of = f"topk(1, max by ({label}) ({expr}) > 0)"
    none = f'label_replace(vector(0), "{label}", "{nothing}", "", "")'
    return known(f"topk(1, 0 * {largest_of} + on () group_left () {count} or {none})")


def total(metric: Metric, *, by: str = "", **labels: str) -> str:
    """Return the sum of a gauge's series by the labels `by` ("queue, function")."""
    return f"sum{_by(metric, by)}({select(metric, any_function=False, **labels)})"


def largest(metric: Metric, *, by: str = "") -> str:
    """Return the largest of a gauge's series by the labels `by`."""
    return f"max{_by(metric, by)}({select(metric)})"


def peak(metric: Metric, *, by: str = "", **labels: str) -> str:
    """Return the largest of a gauge's series for a graph: the peak in each step, however short."""
    selector = select(metric, any_function=False, **labels)
    return f"max{_by(metric, by)}(max_over_time({selector}[{RATE_INTERVAL}]))"


def peak_total(metric: Metric, *, by: str = "", **labels: str) -> str:
    """Return the sum of a gauge's series for a graph, each at its peak in the step."""
    selector = select(metric, any_function=False, **labels)
    return f"sum{_by(metric, by)}(max_over_time({selector}[{RATE_INTERVAL}]))"


def low(metric: Metric, *, by: str) -> str:
    """Return the smallest of a gauge's series for a graph: the lowest value in each step, however short."""
    return f"min{_by(metric, by)}(min_over_time({select(metric)}[{RATE_INTERVAL}]))"


def low_total(metric: Metric, *, by: str) -> str:
    """Return the sum of a gauge's series for a graph, each at its lowest in the step."""
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
    """Return the metric's increase per second, over all its series or by the labels `by`."""
    selector = select(metric, suffix, any_function=any_function, **labels)
    return f"sum{_by(metric, by, suffix)}(rate({selector}[{window}]))"


def increase(metric: Metric, suffix: str = "", *, by: str = "", window: str = RANGE, **labels: str) -> str:
    """Return about how much the metric rose in the window: for shares, in which errors cancel out."""
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
    """Return how often something happened within the window, a whole number, by the labels `by`.

    Not `increase()`, which turns 11 into 12 and ignores a series' first value. A series that is missing from
    some reading in the window began within it: all of its value happened since.
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
    """Return how often something happened in each step of a graph; the steps add up to the range's number."""
    selector = select(metric, suffix, any_function=False, **labels)
    before = f"[{_LONGEST_GAP}] offset {STEP}"
    base = f"last_over_time({selector}{before})"
    now = f"last_over_time({selector}[{RATE_INTERVAL}])"
    if answers := _answers(metric):
        labels_of_both, up = answers
        base = f"({base} or 0 * {now} and on ({labels_of_both}) max_over_time({up}{before}) == 1)"
    return f"sum{_by(metric, by, suffix)}(clamp_min({now} - {base}, 0))"


def _answers(metric: Metric) -> tuple[str, str] | None:
    """Return the labels a counter shares with its source's up metric, and that; None if it starts at 0."""
    if metric.source == "Prometheus":
        return None
    if metric in _OF_NO_REDIS:
        return "instance", select(UP)
    return "instance, redis", select(RQ_REDIS_UP)


def quantile(share: float, metric: Metric, *, by: str = "", window: str = RATE_INTERVAL) -> str:
    """Return the value below which that share of a histogram's observations lies, by the labels `by`.

    Empty without observations: Prometheus returns NaN then, which Grafana would show as it is.
    """
    buckets = rate(metric, "_bucket", by=", ".join(filter(None, (by, "le"))), window=window)
    return f"histogram_quantile({share}, {buckets}) >= 0"


def jobs(by: str = "", **labels: str) -> str:
    """Return the number of jobs with these label values, by the labels `by`."""
    return total(RQ_JOBS, by=by, **labels)


def share(by: str) -> str:
    """Return jobs as a share of all jobs, by the labels `by`; 0 if there are none."""
    return f"{jobs(by)} / scalar(clamp_min({jobs()}, 1))"
