"""Reads counts from Redis: strict numbers, field by field, and the largest if there are too many names."""

import heapq
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

_AMOUNT = re.compile(r"\d+(\.\d+)?(e[-+]\d+)?", re.ASCII)

Name = TypeVar("Name", str, bytes)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Observations by the upper bound of their bucket, not cumulative, and their sum in seconds."""

    buckets: Mapping[float, int]
    sum_seconds: float = 0.0


def add_to_bucket(buckets: dict[float, int], le: str, number: int) -> None:
    """Add to the bucket with that upper bound; 60 and 60.0 are the same bound.

    Raises:
        ValueError: `le` is not an upper bound.
    """
    bound = float(le)
    if not bound >= 0:  # also refuses nan
        raise ValueError(f"{le} is not an upper bound")
    buckets[bound] = buckets.get(bound, 0) + number


def amount(text: str | bytes | float) -> float:
    """Read a count or a time. float() would also accept nan and -1, which make a page unreadable.

    Scores are strings over RESP2 and numbers over RESP3.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(text, bytes):
        text = text.decode()
    elif isinstance(text, float):
        text = repr(text)
    if not _AMOUNT.fullmatch(text) or not math.isfinite(read := float(text)):
        raise ValueError("not a number")
    return read


def amounts(
    answer: Mapping[bytes, Any], what: str, *, bars: int = 0
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the fields of a hash that are text with at least so many bars and have an amount as value.

    The second part names the other fields, each with `what` before it.
    """
    numbers, unreadable = {}, []
    for name, value in answer.items():
        try:
            if name.count(b"|") < bars:
                raise ValueError("parts are missing")
            numbers[name.decode()] = amount(value)
        except ValueError:
            unreadable.append(f"{what} {name!r}")
    return numbers, tuple(unreadable)


def largest(sizes: Mapping[Name, float], limit: int) -> set[Name]:
    """Return the names of the largest; among equals, always the same ones."""
    return {name for _, name in heapq.nlargest(limit, ((size, name) for name, size in sizes.items()))}
