"""A snapshot is frozen, and the only source of its page: the same snapshot gives the same page."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType

import pytest

from rqmon.exporter.collector import collect
from rqmon.exporter.exposition import write
from rqmon.exporter.reading import reader


def states(found):
    """Return every dataclass and named tuple of a snapshot, with its field names."""
    if (
        names := [field.name for field in fields(found)]
        if is_dataclass(found)
        else getattr(found, "_fields", ())
    ):
        yield found, names
        found = tuple(getattr(found, name) for name in names)
    if isinstance(found, Mapping):
        yield found, ()
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
    before = repr(taken)
    assert page(taken) == page(taken)
    assert repr(taken) == before
    assert taken.unreadable == ("jobs b'outcome|odd|f|q'",)


def test_nothing_of_a_snapshot_can_be_set(everything, redis_connection):
    found = list(states(reader.take(redis_connection)))
    kinds = {type(state).__name__ for state, _ in found}
    assert {"Snapshot", "QueueState", "WorkerState", "CronState", "JobCounts", "Histogram"} <= kinds
    for state, names in found:
        if names:
            with pytest.raises(AttributeError):
                setattr(state, names[0], None)
        else:
            assert isinstance(state, MappingProxyType), state
            with pytest.raises(TypeError):
                state["x"] = 1
