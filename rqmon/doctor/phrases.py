"""How findings are worded: lists that stay short, numbers with their nouns, and spans of time."""

from collections.abc import Sequence

from rqmon.terminal import shortened

_NAMED = 5
_SPANS = (("d", 86_400), ("h", 3_600), ("min", 60))


def listed(names: Sequence[str]) -> str:
    """The first five names, and how many more there are."""
    shown = [shortened(name) for name in names[:_NAMED]]
    if len(names) > _NAMED:
        return f"{', '.join(shown)} and {len(names) - _NAMED} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def counted(number: int, noun: str) -> str:
    """`1 job`, `2 jobs`, `2 entries`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{number:,} {noun}s"


def span(seconds: float) -> str:
    """A time span to read: `45 s`, `12 min`; none where clocks that differ would make it negative."""
    for unit, size_seconds in _SPANS:
        if seconds >= 2 * size_seconds:
            return f"{seconds / size_seconds:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
