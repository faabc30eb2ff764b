"""The text that Prometheus reads: families of samples in its own format or in OpenMetrics.

It is what a large page's time goes into, so each line is written once, as it is added; the tests hold it to
what prometheus_client's parser and writer make of the same samples.
"""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rqmon.metrics import Metric


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and its samples, each a line of text or several."""

    metric: Metric
    lines: tuple[str, ...]


_LONGEST = 250  # characters of a label: names come from Redis, and each stands on many lines
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def sample(name: str, text: str, value: float) -> str:
    """The line of a sample with these labels."""
    return f"{name}{{{text}}} {value}\n" if text else f"{name} {value}\n"


def labels(pairs: Mapping[str, str]) -> str:
    """Labels as they stand between braces."""
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in pairs.items()])


@functools.lru_cache(maxsize=16384)
def _escaped(value: str) -> str:
    if len(value) > _LONGEST:  # two names stay two
        digest = hashlib.sha256(value.encode(errors="backslashreplace")).hexdigest()[:8]
        value = f"{value[: _LONGEST - 9]}~{digest}"
    return value.translate(_ESCAPES)


def write(families: Iterable[Family], *, openmetrics: bool, only: frozenset[str] = frozenset()) -> bytes:
    """Families as text, without OpenMetrics's end mark; never fails for what a label is.

    Args:
        families: The families.
        openmetrics: Whether to write that format.
        only: The names of the samples that are asked for; none are all.
    """
    lines: list[str] = []
    for family in families:
        metric = family.metric
        if not family.lines or (only and only.isdisjoint(metric.samples)):
            continue
        name = metric.name.removesuffix("_total") if openmetrics else metric.name
        lines.append(f"# HELP {name} {metric.help}\n# TYPE {name} {metric.type}\n")
        lines += [line for line in family.lines if _name(line) in only] if only else family.lines
    return "".join(lines).encode(errors="backslashreplace")


def _name(line: str) -> str:
    return line.partition("{")[0].partition(" ")[0]
