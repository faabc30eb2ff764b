"""Cron's state, of what its entries, its counts and its processes say: at most so many entries."""

import heapq

from rqmon.exporter.reading.snapshot import CronState
from scheduler.cron.heartbeats import Seen
from scheduler.cron.store.overview import Overview
from scheduler.ledger.cron import CronCounts, Outcome

MAX_ENTRIES = 10_000


def state(overview: Overview, counts: CronCounts, seen: Seen, *, now: float) -> tuple[CronState, int]:
    """The state at that time, and how many entries are too many to be in it.

    Those are in it that had the most slots which did not run in time, and of the others those with the most.
    """
    shown, left_out = _shown(overview, counts)
    return CronState(
        registered=len(overview.entries),
        entries={id_: labels for id_, labels in overview.entries.items() if id_ in shown},
        next={id_: at for id_, at in overview.next.items() if id_ in shown},
        last={id_: at for id_, at in counts.last.items() if id_ in shown},
        outcomes={id_: slots for id_, slots in counts.outcomes.items() if id_ in shown},
        lateness=counts.lateness,
        processes=sum(heartbeat.is_working(now) for heartbeat in seen.live.values()),
        passed_over=max((heartbeat.passed_over_count for heartbeat in seen.live.values()), default=0),
    ), left_out


def _shown(overview: Overview, counts: CronCounts) -> tuple[set[str], int]:
    ids = {*overview.entries, *overview.next, *counts.outcomes, *counts.last}
    if len(ids) <= MAX_ENTRIES:
        return ids, 0

    def size(id_: str) -> tuple[int, int, str]:
        slots = counts.outcomes.get(id_, {})
        total = sum(slots.values())
        return total - slots.get(Outcome.RAN, 0), total, id_

    return set(heapq.nlargest(MAX_ENTRIES, ids, key=size)), len(ids) - MAX_ENTRIES
