"""Colours, thresholds and value mappings: what a value looks like, the same on every dashboard."""

from typing import Any

from rqmon.thresholds import Threshold

OK, WARNING, CRITICAL, NEUTRAL, INFO = "green", "orange", "red", "text", "blue"

# Of the lists in rqmon/states.py, each value has a colour.
STATUS_COLORS = {
    "queued": "blue",
    "started": "light-blue",
    "scheduled": "purple",
    "deferred": "yellow",
    "finished": "green",
    "failed": "red",
}
OUTCOME_COLORS = {
    "succeeded": "green",
    "retried": "yellow",
    "rate_limited": "blue",
    "stopped": NEUTRAL,
    "abandoned": "purple",
    "failed": "red",
}
SLOT_COLORS = {"ran": "green", "late": "orange", "missed": "red", "skipped": "yellow"}
STATE_COLORS = {"busy": "blue", "idle": "green", "started": "yellow", "suspended": "orange"}
COUNT = "locale"  # every digit, with separators
JOBS_PER_SECOND = "jobs/s"  # Grafana appends a unit it does not know to the number
REQUESTS_PER_SECOND = "reqps"
TIMES = "suffix: times"  # a rate by another
DAY_SECONDS = 86_400


def steps(base: str, *above: tuple[float, str]) -> list[dict[str, Any]]:
    """Threshold steps: `base` from zero, then each colour from its value on, in rising order."""
    return [{"color": base, "value": 0}, *({"color": color, "value": value} for value, color in above)]


def above(threshold: Threshold) -> list[tuple[float, str]]:
    """The steps of a threshold: its colours, each from its value on."""
    colored = ((threshold.warning, WARNING), (threshold.critical, CRITICAL))
    return [(value, color) for value, color in colored if value is not None]


def text_for_values(texts: dict[int, tuple[str, str]]) -> list[dict[str, Any]]:
    """A value mapping that shows each number as a (text, colour)."""
    options = {
        str(value): {"color": color, "index": index, "text": text}
        for index, (value, (text, color)) in enumerate(texts.items())
    }
    return [{"options": options, "type": "value"}]


# For what has no value: Grafana colours it as it does the lowest value, green for the most part.
UNKNOWN_TEXT = "Unknown"
UNKNOWN = {
    "options": {"match": "null+nan", "result": {"color": NEUTRAL, "index": 99, "text": UNKNOWN_TEXT}},
    "type": "special",
}
OVER_A_DAY = text_for_values({DAY_SECONDS: ("Over a day", CRITICAL)})
UP_OR_DOWN = text_for_values({0: ("Down", CRITICAL), 1: ("Up", OK)})


def color_overrides(colors: dict[str, str]) -> list[dict[str, Any]]:
    """Overrides that give each series, by its legend name, a fixed colour."""
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"fixedColor": color, "mode": "fixed"}}],
        }
        for name, color in colors.items()
    ]


def column_unit(column: str, unit: str) -> dict[str, Any]:
    """An override that gives one column of a table its own unit."""
    return {"matcher": {"id": "byName", "options": column}, "properties": [{"id": "unit", "value": unit}]}


def column_mappings(column: str, mappings: list[dict[str, Any]]) -> dict[str, Any]:
    """An override that writes some values of one column of a table as coloured text."""
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
            {"id": "mappings", "value": mappings},
        ],
    }


def column_thresholds(column: str, thresholds: list[dict[str, Any]]) -> dict[str, Any]:
    """An override that colours the text of one column of a table by its value."""
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
            {"id": "thresholds", "value": {"mode": "absolute", "steps": thresholds}},
        ],
    }
