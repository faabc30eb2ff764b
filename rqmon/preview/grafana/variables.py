"""Template variables: selections, choices, and replacing `$name` in text as Grafana does."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rqmon.preview.grafana.model import ALL, Variable
from rqmon.preview.grafana.timerange import TimeRange, format_seconds

_REFERENCE = re.compile(r"\$(\w+)|\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]")
_LABEL_VALUES = re.compile(r"label_values\(\s*(?:(.+?)\s*,\s*)?([a-zA-Z_]\w*)\s*\)", re.DOTALL)
_REGEX_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}]")


@dataclass(frozen=True)
class Value:
    """A variable's value: its chosen values, or `all_value` as it is if All is chosen and has one."""

    values: tuple[str, ...]
    is_all: bool = False
    all_value: str = ""
    is_regex: bool = False

    def format(self, style: str | None) -> str:
        """Write the value in one of Grafana's formats; None means the Prometheus data source's own."""
        if style == "text":
            return "All" if self.is_all else " + ".join(self.values)
        if self.is_all and self.all_value:
            return self.all_value
        if style in ("pipe", "csv", "raw"):
            return ("|" if style == "pipe" else ",").join(self.values)
        if style == "regex":
            return _alternatives([_escape_regex(value) for value in self.values])
        if style in ("singlequote", "doublequote"):
            quote = "'" if style == "singlequote" else '"'
            return ",".join(quote + value.replace(quote, "\\" + quote) + quote for value in self.values)
        if self.is_regex:
            if self.is_all and not self.values:
                return ".+"
            return _alternatives([_escape_string(_escape_regex(value)) for value in self.values])
        return _escape_string(",".join(self.values))


def _alternatives(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"({'|'.join(values)})"


def _escape_regex(text: str) -> str:
    return _REGEX_SPECIAL.sub(lambda match: "\\" + match.group(), text)


def _escape_string(text: str) -> str:
    """Escape a text for a double-quoted PromQL string."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def interpolate(text: str, values: Mapping[str, Value], *, style: str | None = None) -> str:
    """Replace `$name`, `${name:format}` and `[[name]]` with the variables' values; unknown names stay."""

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2) or match.group(4)
        value = values.get(name)
        return match.group() if value is None else value.format(match.group(3) or match.group(5) or style)

    return _REFERENCE.sub(replacement, text)


def built_in(
    time_range: TimeRange, *, step_seconds: float, scrape_interval_seconds: float
) -> dict[str, Value]:
    """Return Grafana's built-in variables for one query: its intervals, range and ends."""
    rate_seconds = max(step_seconds + scrape_interval_seconds, 4 * scrape_interval_seconds)
    texts = {
        "__interval": format_seconds(step_seconds),
        "__interval_ms": f"{step_seconds * 1000:.0f}",
        "__rate_interval": format_seconds(rate_seconds),
        "__rate_interval_ms": f"{rate_seconds * 1000:.0f}",
        "__range": f"{time_range.seconds:.0f}s",
        "__range_s": f"{time_range.seconds:.0f}",
        "__range_ms": f"{time_range.seconds * 1000:.0f}",
        "__from": f"{time_range.start * 1000:.0f}",
        "__to": f"{time_range.end * 1000:.0f}",
    }
    return {name: Value((text,)) for name, text in texts.items()}


def label_query(variable: Variable, values: Mapping[str, Value]) -> tuple[str, str] | None:
    """Return the label and selector (may be empty) of a query variable; None for other kinds of query."""
    match = _LABEL_VALUES.fullmatch(interpolate(variable.query.strip(), values))
    return (match.group(2), match.group(1) or "") if match else None


def choices_from(variable: Variable, found: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of text and value from a label's values, filtered and sorted as the variable says."""
    pattern = re.sub(r"^/(.*)/[a-z]*$", r"\1", variable.regex)
    try:
        regex = re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern)) if pattern else None
    except re.error:
        regex = None
    choices: dict[str, str] = {}
    for value in found:
        match = regex.search(value) if regex else None
        if regex and not match:
            continue
        picked = match.group(1) if match and match.groups() and match.group(1) is not None else value
        choices.setdefault(picked, picked)
    ordered = list(choices.items())
    if variable.sort in (3, 4):
        ordered.sort(key=lambda pair: float(re.sub(r"\D", "", pair[0]) or 0), reverse=variable.sort == 4)
    elif variable.sort:
        fold = variable.sort in (5, 6)
        ordered.sort(key=lambda p: p[0].lower() if fold else p[0], reverse=variable.sort in (2, 6))
    return ordered


def chosen(
    variable: Variable, asked: Sequence[str] | None, choices: Sequence[tuple[str, str]]
) -> tuple[str, ...]:
    """Return the initial values: from the address, else the dashboard's own, else All or the first.

    `All` and `$__all` both mean All. A value that is not (yet) among the choices is kept: a queue may be
    empty now and back in a minute. Without `multi` only the first counts. A constant can't be changed: links
    are made of constants, and whoever sends an address must not choose where they lead.
    """
    if variable.type == "constant":
        return variable.current
    wanted = [value for value in (variable.current if asked is None else asked) if value]
    if variable.include_all and any(value in (ALL, "All") for value in wanted):
        return (ALL,)
    wanted = [value for value in wanted if value != ALL]
    if not wanted and variable.include_all:
        return (ALL,)
    if not wanted and choices and variable.type != "textbox":
        wanted = [choices[0][1]]
    return tuple(wanted) if variable.multi else tuple(wanted[:1])


def value_of(variable: Variable, selection: Sequence[str], choices: Sequence[tuple[str, str]]) -> Value:
    """Return the variable's value in a query, given the selection."""
    is_all = ALL in selection
    return Value(
        values=tuple(value for _, value in choices) if is_all else tuple(selection),
        is_all=is_all,
        all_value=variable.all_value,
        is_regex=variable.multi or variable.include_all,
    )
