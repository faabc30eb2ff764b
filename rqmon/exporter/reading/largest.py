"""What a page shows when there is too much for it: the largest, and how many are left out.

Workers bound what they count, so this is for what was counted before they did, and for RQ's own keys. What is
left out is not added up as `other`: a counter falls when one of its parts gets a place of its own, and that
reads as a restart.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping
from itertools import chain
from typing import TypeVar

from rqmon.exporter.reading.state import CronState
from scheduler.cron.entries import Outcome
from scheduler.ledger.jobs import MAX_NAMES, MAX_PAIRS

# Of RQ's queues a scrape asks so many, and shows so many.
MAX_QUEUES_ASKED = 20_000
MAX_QUEUES = 5_000
MAX_ENTRIES = 10_000
# What its writer bounds is never cut here: beside the pairs, each queue has one of `other`.
_SHOWN_PAIRS = MAX_PAIRS + MAX_NAMES + 1
_OF_PAIRS = frozenset({b"outcome", b"wait", b"wait_sum", b"run", b"run_sum"})

Name = TypeVar("Name", str, bytes)


def largest(sizes: Mapping[Name, float], limit: int) -> set[Name]:
    """The names of the largest; among equals, always the same ones."""
    return {name for _, name in heapq.nlargest(limit, ((size, name) for name, size in sizes.items()))}


def of_ledger(counts: Mapping[bytes, bytes]) -> tuple[Mapping[bytes, bytes], dict[str, int]]:
    """The fields of the hash `scheduler.ledger.jobs.COUNTS` that are shown, and how many groups are not.

    These are `pairs` of queue and function, the largest by what they ended, and `failures`, those of queue
    and exception.
    """
    fields: defaultdict[bytes, list[bytes]] = defaultdict(list)
    ended: defaultdict[bytes, float] = defaultdict(float)
    failures: dict[bytes, float] = {}
    others = []
    for name, number in counts.items():
        kind, _, where = name.partition(b"|")
        if kind in _OF_PAIRS:
            pair = where[where.find(b"|") :]
            fields[pair].append(name)
            if kind == b"outcome" and number.isdigit():
                ended[pair] += float(number)
        elif kind == b"failure":
            failures[name] = float(number) if number.isdigit() else 0.0
        else:
            others.append(name)
    left_out = {"pairs": max(0, len(fields) - _SHOWN_PAIRS), "failures": max(0, len(failures) - _SHOWN_PAIRS)}
    if not any(left_out.values()):
        return counts, left_out
    pairs = largest({pair: ended.get(pair, 0.0) for pair in fields}, _SHOWN_PAIRS)
    kept = chain(others, largest(failures, _SHOWN_PAIRS), *(fields[pair] for pair in pairs))
    return {name: counts[name] for name in kept}, left_out


def of_resources(counts: Mapping[tuple[str, str], int]) -> tuple[dict[tuple[str, str], int], int]:
    """Requests by (resource, outcome), of the resources that are shown, and how many are not."""
    sizes: dict[str, float] = {}
    for (resource, _), requests in counts.items():
        sizes[resource] = sizes.get(resource, 0.0) + requests
    kept = largest(sizes, MAX_NAMES + 1)
    return {key: requests for key, requests in counts.items() if key[0] in kept}, len(sizes) - len(kept)


def of_cron(cron: CronState) -> int:
    """Leave in it the entries that are shown, and tell how many are not.

    Those are shown that had the most slots which did not run in time, and of the others those with the most.
    """
    names = {*cron.entries, *cron.outcomes, *cron.next, *cron.last}
    if len(names) <= MAX_ENTRIES:
        return 0

    def size(name: str) -> tuple[int, int, str]:
        slots = cron.outcomes.get(name, {})
        total = sum(slots.values())
        return total - slots.get(Outcome.RAN, 0), total, name

    kept = set(heapq.nlargest(MAX_ENTRIES, names, key=size))
    cron.entries = {name: about for name, about in cron.entries.items() if name in kept}
    cron.outcomes = {name: slots for name, slots in cron.outcomes.items() if name in kept}
    cron.next = {name: at for name, at in cron.next.items() if name in kept}
    cron.last = {name: at for name, at in cron.last.items() if name in kept}
    return len(names) - len(kept)
