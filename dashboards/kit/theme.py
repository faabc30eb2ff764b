"""Colours, thresholds and value mappings: how values look, the same on every dashboard."""

from typing import Any

from rqmon.thresholds import Threshold

OK, WARNING, CRITICAL, NEUTRAL, INFO = "green", "orange", "red", "text", "blue"

# Each value in the lists of rqmon/states.py has a colour.
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
TIMES = "suffix: times"  # the ratio of two rates
DAY_SECONDS = 86_400


def steps(base: str, *above: tuple[float, str]) -> list[dict[str, Any]]:
    """Return threshold steps: `base` from zero, then each colour from its value on, in ascending order."""
    return [{"color": base, "value": 0}, *({"color": color, "value": value} for value, color in above)]


def above(threshold: Threshold) -> list[tuple[float, str]]:
    """Return the steps of a threshold: its colours, each from its value on."""
    colored = ((threshold.warning, WARNING), (threshold.critical, CRITICAL))
    return [(value, color) for value, color in colored if value is not None]


def text_for_values(texts: dict[int, tuple[str, str]]) -> list[dict[str, Any]]:
    """Return a value mapping that shows each number as a (text, colour)."""
    options = {
        str(value): {"color": color, "index": index, "text": text}
        for index, (value, (text, color)) in enumerate(texts.items())
    }
    return [{"options": options, "type": "value"}]


# For missing values: Grafana would colour them like the lowest value, mostly green.
UNKNOWN_TEXT = "Unknown"
UNKNOWN = {
    "options": {"match": "null+nan", "result": {"color": NEUTRAL, "index": 99, "text": UNKNOWN_TEXT}},
    "type": "special",
}
OVER_A_DAY = text_for_values({DAY_SECONDS: ("Over a day", CRITICAL)})
UP_OR_DOWN = text_for_values({0: ("Down", CRITICAL), 1: ("Up", OK)})


def color_overrides(colors: dict[str, str]) -> list[dict[str, Any]]:
    """Return overrides that give each series, by its legend name, a fixed colour."""
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"fixedColor": color, "mode": "fixed"}}],
        }
        for name, color in colors.items()
    ]


def thresholds_of(name: str, thresholds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an override that colours one of a tile's numbers, by its legend, with thresholds of its own."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": "thresholds", "value": {"mode": "absolute", "steps": thresholds}}],
    }


def no_text_in_empty_cells() -> dict[str, Any]:
    """Return an override that leaves a table's empty cells empty, whatever it says without rows."""
    return {
        "matcher": {"id": "byRegexp", "options": "/.*/"},
        "properties": [{"id": "noValue", "value": ""}],
    }


def column_unit(column: str, unit: str) -> dict[str, Any]:
    """Return an override that gives one table column its own unit."""
    return {"matcher": {"id": "byName", "options": column}, "properties": [{"id": "unit", "value": unit}]}


def column_mappings(column: str, mappings: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an override that shows some values of one table column as coloured text."""
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
            {"id": "mappings", "value": mappings},
        ],
    }


def column_thresholds(column: str, thresholds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an override that colours the text of one table column by its value."""
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
            {"id": "thresholds", "value": {"mode": "absolute", "steps": thresholds}},
        ],
    }
