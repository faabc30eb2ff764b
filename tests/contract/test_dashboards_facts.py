"""Facts with one place: panels that two dashboards share, and the colours of states and outcomes."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.kit import theme
from dashboards.paths import DASHBOARDS, ROOT
from rqmon import states, thresholds
from rqmon.thresholds import Threshold

FILES = sorted((ROOT / DASHBOARDS).glob("*.json"))
COLORS = {
    "jobs": (theme.STATUS_COLORS, states.JOB_STATUSES),
    "executions": (theme.OUTCOME_COLORS, states.JOB_OUTCOMES),
    "slots": (theme.SLOT_COLORS, states.CRON_OUTCOMES),
    "workers": (theme.STATE_COLORS, states.WORKER_STATES),
}
THRESHOLDS = {name: value for name, value in vars(thresholds).items() if isinstance(value, Threshold)}


def _shown(files: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in files:
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            if panel["type"] != "row":
                yield file.stem, panel


def _text_and_look(panel: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal on every dashboard: all but place, size, and a link to one of them."""
    defaults = {key: value for key, value in panel["fieldConfig"]["defaults"].items() if key != "links"}
    return {**panel, "id": 0, "gridPos": {}, "fieldConfig": {**panel["fieldConfig"], "defaults": defaults}}


def test_panels_that_ask_the_same_say_the_same() -> None:
    by_question: dict[tuple[str, ...], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for uid, panel in _shown(FILES):
        by_question[tuple(target["expr"] for target in panel["targets"])].append((uid, panel))
    shared = [found for found in by_question.values() if len({uid for uid, _ in found}) > 1]
    assert len(shared) > 10
    for (uid, first), *others in shared:
        for other_uid, other in others:
            said, also_said = (_text_and_look(panel) for panel in (first, other))
            assert said == also_said, f"{uid}: {first['title']}; {other_uid}: {other['title']}"


def test_one_expression_has_one_name_on_every_dashboard() -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for _, panel in _shown(FILES):
        if len(panel["targets"]) > 1:  # a single number is named by its panel's title
            for target in panel["targets"]:
                names[target["expr"]].add(target["legendFormat"])
    assert {expression: found for expression, found in names.items() if len(found) > 1} == {}


def test_tables_of_queues_say_what_to_do_where_there_are_none() -> None:
    tables = {
        (uid, panel["title"]): panel["fieldConfig"]["defaults"]
        for uid, panel in _shown(FILES)
        if panel["type"] == "table"
    }
    for place in (("rq-dashboard", "Jobs in each queue"), ("rq-queues", "All queues")):
        assert "make demo" in tables[place]["noValue"]


@pytest.mark.parametrize("kind", COLORS)
def test_every_state_and_outcome_has_its_colour(kind: str) -> None:
    colors, names = COLORS[kind]
    assert colors.keys() == set(names)


def test_timelines_name_every_state_and_outcome() -> None:
    """Return the states of a timeline from its numbers, which the panels give them."""
    named = [
        {option["text"].lower() for mapping in mappings for option in mapping["options"].values()}
        for _, panel in _shown(FILES)
        if panel["type"] == "state-timeline" and (mappings := panel["fieldConfig"]["defaults"]["mappings"])
    ]
    assert set(states.WORKER_STATES) in named
    assert set(states.CRON_OUTCOMES) in named


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_threshold_rises_and_says_what_it_is_of(name: str) -> None:
    threshold = THRESHOLDS[name]
    values = [value for value in (threshold.warning, threshold.critical) if value is not None]
    assert values
    assert values == sorted(set(values))
    assert threshold.unit
    assert threshold.meaning.endswith(".")
