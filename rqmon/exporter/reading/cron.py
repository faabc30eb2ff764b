"""The state of cron, from its entries, counts and processes; the number of entries is limited."""

import heapq
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from rqmon.exporter.reading.snapshot import CronState
from scheduler.cron.heartbeats import Seen
from scheduler.cron.store.overview import Overview
from scheduler.ledger.cron import CronCounts, Outcome

MAX_ENTRIES = 10_000

Value = TypeVar("Value")


def state(overview: Overview, counts: CronCounts, seen: Seen, *, now: float) -> tuple[CronState, int]:
    """Return the state at that time, and how many entries are left out as too many.

    Entries with the most slots that did not run in time come first, then those with the most slots.
    """
    shown, left_out = _shown(overview, counts)
    return CronState(
        registered=len(overview.entries),
        entries=_only(shown, overview.entries),
        next=_only(shown, overview.next),
        last=_only(shown, counts.last),
        outcomes=_only(shown, counts.outcomes),
        lateness=counts.lateness,
        processes=sum(heartbeat.is_working(now) for heartbeat in seen.live.values()),
        passed_over=max((heartbeat.passed_over_count for heartbeat in seen.live.values()), default=0),
    ), left_out


def _only(shown: set[str], by_id: Mapping[str, Value]) -> Mapping[str, Value]:
    return MappingProxyType({id_: value for id_, value in by_id.items() if id_ in shown})


def _shown(overview: Overview, counts: CronCounts) -> tuple[set[str], int]:
    ids = {*overview.entries, *overview.next, *counts.outcomes, *counts.last}
    if len(ids) <= MAX_ENTRIES:
        return ids, 0

    def size(id_: str) -> tuple[int, int, str]:
        slots = counts.outcomes.get(id_, {})
        total = sum(slots.values())
        return total - slots.get(Outcome.RAN, 0), total, id_

    return set(heapq.nlargest(MAX_ENTRIES, ids, key=size)), len(ids) - MAX_ENTRIES
