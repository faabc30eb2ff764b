"""PromQL over the catalog's metrics: every selector is narrowed to the dashboard's variables here."""

from collections.abc import Iterable

from dashboards.catalog import (
    EXPORTER_JOB,
    RQ_EXPORTER_BUILD_INFO,
    RQ_JOBS,
    RQ_REDIS_UP,
    RQ_REQUEST_PROCESSING_SECONDS,
    RQ_SCRAPE_ERRORS_TOTAL,
    UP,
    Metric,
)

RATE_INTERVAL = "$__rate_interval"
# The window of single numbers about "now": one slow job must not make them jump.
RECENT = "5m"
# The dashboard's whole time range: of single numbers and tables, which ask once.
RANGE = "$__range"
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
        labels: Label values that must be equal, such as `status="failed"`.

    Raises:
        ValueError: The metric has no such label or sample, so the query would stay empty.
    """
    _require(metric, suffix, labels)
    if metric.name + suffix not in metric.samples:
        raise ValueError(f"{metric.name} has no sample {metric.name + suffix}; it has {list(metric.samples)}")
    matchers = [f'{label}="{value}"' for label, value in labels.items()]
    chosen = [label for label in metric.labels if not (any_function and label == "function")]
    matchers += [MATCHERS[label] for label in chosen if label in MATCHERS]
    if metric not in _OF_NO_REDIS and metric.source != "Prometheus":
        matchers.append('redis=~"$redis"')
    if metric is UP:
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


def or_zero(expr: str, *, known_by: Metric = RQ_REDIS_UP) -> str:
    """`expr`, or 0 where it has no series although what it is known by is up: then 0 is the truth."""
    return f"{expr} or 0 * max({select(known_by)} == 1)"


def total(metric: Metric, *, by: str = "", **labels: str) -> str:
    """The sum of a gauge's series, kept apart by the labels `by` ("queue, function")."""
    return f"sum{_by(metric, by)}({select(metric, any_function=False, **labels)})"


def largest(metric: Metric, *, by: str = "") -> str:
    """The largest of a gauge's series, kept apart by the labels `by`."""
    return f"max{_by(metric, by)}({select(metric)})"


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
    """How much the metric rose in the window, kept apart by the labels `by`."""
    selector = select(metric, suffix, any_function=False, **labels)
    return f"sum{_by(metric, by, suffix)}(increase({selector}[{window}]))"


def events(metric: Metric, *, by: str = "", window: str = RATE_INTERVAL, **labels: str) -> str:
    """How often something happened within the window, kept apart by the labels `by`.

    Rounded, as Prometheus makes 1.1 of one event that lies between two samples.
    """
    return f"round({increase(metric, by=by, window=window, **labels)})"


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
