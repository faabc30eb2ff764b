"""PromQL over the catalog's metrics: every selector is narrowed to the dashboard's variables here."""

from dashboards.catalog import EXPORTER_JOB, RQ_JOBS, UP, Metric

RATE_INTERVAL = "$__rate_interval"
# A worker lists its queues in one label, joined by commas.
MATCHERS = {"queue": 'queue=~"$queue"', "queues": 'queues=~"(.*,)?($queue)(,.*)?"'}


def select(metric: Metric, suffix: str = "", **labels: str) -> str:
    """A selector of `metric`, narrowed to the chosen queues and to `labels`.

    Args:
        metric: From the catalog.
        suffix: `_sum` or `_count` of a summary.
        labels: Label values that must be equal, such as `status="failed"`.

    Raises:
        ValueError: The metric has no such label or sample, so the query would stay empty.
    """
    if unknown := labels.keys() - metric.labels:
        raise ValueError(f"{metric.name} has no label {sorted(unknown)}; it has {list(metric.labels)}")
    if metric.name + suffix not in metric.samples:
        raise ValueError(f"{metric.name} has no sample {metric.name + suffix}; it has {list(metric.samples)}")
    matchers = [f'{label}="{value}"' for label, value in labels.items()]
    matchers += [MATCHERS[label] for label in metric.labels if label in MATCHERS]
    if metric is UP:
        matchers.append(f'job="{EXPORTER_JOB}"')
    return f"{metric.name}{suffix}" + (f"{{{', '.join(matchers)}}}" if matchers else "")


def or_zero(expr: str) -> str:
    """`expr`, or 0 where it has no series although the exporter answers: then 0 is the truth."""
    return f"{expr} or 0 * max({select(UP)} == 1)"


def rate(metric: Metric, suffix: str = "", *, window: str = RATE_INTERVAL) -> str:
    """The metric's increase a second, over all its series."""
    return f"sum(rate({select(metric, suffix)}[{window}]))"


def jobs(by: str = "", **labels: str) -> str:
    """The number of jobs with these label values, kept apart by the labels `by`."""
    return f"sum{f' by ({by}) ' if by else ''}({select(RQ_JOBS, **labels)})"


def share(by: str) -> str:
    """Jobs as a share of all jobs, kept apart by the labels `by`; 0 when there are none."""
    return f"{jobs(by)} / scalar(clamp_min({jobs()}, 1))"
