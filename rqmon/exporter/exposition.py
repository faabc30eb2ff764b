"""The text that Prometheus reads: metric families in its own format or in OpenMetrics.

A large page spends most of its time here, so each line is written once, when it is added. The tests compare
the text with prometheus_client's parser and writer.
"""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rqmon.metrics import Metric


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and its samples, each one or more lines of text."""

    metric: Metric
    lines: tuple[str, ...]


_LONGEST = 250  # characters of a label: names come from Redis, and each is on many lines
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def sample(name: str, text: str, value: float) -> str:
    """Return the line of a sample with these labels."""
    return f"{name}{{{text}}} {value}\n" if text else f"{name} {value}\n"


def labels(pairs: Mapping[str, str]) -> str:
    """Return labels as written between the braces."""
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in pairs.items()])


@functools.lru_cache(maxsize=16384)
def _escaped(value: str) -> str:
    if len(value) > _LONGEST:  # different names stay different
        digest = hashlib.sha256(value.encode(errors="backslashreplace")).hexdigest()[:8]
        value = f"{value[: _LONGEST - 9]}~{digest}"
    return value.translate(_ESCAPES)


def write(families: Iterable[Family], *, openmetrics: bool, only: frozenset[str] = frozenset()) -> bytes:
    """Write families as text, without OpenMetrics's end mark; no label makes it fail.

    Args:
        families: The families.
        openmetrics: Whether to write the OpenMetrics format.
        only: The names of the requested samples; empty means all.
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
