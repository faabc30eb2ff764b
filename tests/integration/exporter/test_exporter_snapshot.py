"""A snapshot is frozen, and its page comes of nothing else: the same snapshot gives the same page."""

from copy import deepcopy
from dataclasses import fields, is_dataclass

import pytest

from rqmon.exporter.collector import collect
from rqmon.exporter.exposition import write
from rqmon.exporter.reading import reader


def states(found):
    """Every dataclass and named tuple that a snapshot is made of, with the names of its fields."""
    if (
        names := [field.name for field in fields(found)]
        if is_dataclass(found)
        else getattr(found, "_fields", ())
    ):
        yield found, names
        found = tuple(getattr(found, name) for name in names)
    if isinstance(found, dict):
        found = tuple(found.values())
    if isinstance(found, tuple):
        for value in found:
            yield from states(value)


def page(taken):
    return write(collect(taken, base={}, bounds=(1.0,), seconds=0.1), openmetrics=False)


def test_a_snapshot_gives_the_same_page_twice_and_stays_as_it_was(everything, redis_connection):
    redis_connection.hset("rqmon:ledger:jobs:counts", "outcome|odd|f|q", "1")
    redis_connection.hset("rqmon:ledger:rate-limits", "admitted|api", "1")
    taken = reader.take(redis_connection)
    before = deepcopy(taken)
    assert page(taken) == page(taken) == page(before)
    assert taken == before
    assert taken.unreadable == ("jobs b'outcome|odd|f|q'",)


def test_nothing_of_a_snapshot_can_be_set(everything, redis_connection):
    found = list(states(reader.take(redis_connection)))
    kinds = {type(state).__name__ for state, _ in found}
    assert {"Snapshot", "QueueState", "WorkerState", "CronState", "JobCounts", "Histogram"} <= kinds
    for state, names in found:
        with pytest.raises(AttributeError):
            setattr(state, names[0], None)
