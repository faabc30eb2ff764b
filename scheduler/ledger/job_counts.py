"""The ledger's record of jobs: the hash COUNTS, which COMMANDS asks for and `parse` reads."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from types import MappingProxyType

from scheduler.ledger.job_scripts import COUNTS, MAX_NAMES, MAX_PAIRS
from scheduler.ledger.reading import Histogram, add_to_bucket, amounts, largest

COMMANDS = {"jobs": ("HGETALL", COUNTS)}

# Never cuts what the writers keep: besides the pairs, each queue has one with `other`.
_MOST_PAIRS = MAX_PAIRS + MAX_NAMES + 1
_OF_PAIRS = frozenset({b"outcome", b"wait", b"wait_sum", b"run", b"run_sum"})


class JobOutcome(StrEnum):
    """How an execution ended; each has exactly one outcome, which `rqmon.states` describes."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"
    STOPPED = "stopped"
    ABANDONED = "abandoned"
    RATE_LIMITED = "rate_limited"


@dataclass(frozen=True, slots=True)
class JobCounts:
    """The whole record: outcomes by (queue, function, outcome), failures by (queue, exception), and times.

    Retries (executions after which the job runs again) and killed work horses are counted by queue,
    histograms by (queue, function). An execution that was abandoned with its worker has a wait time and no
    run time; one that was abandoned before it was loaded has neither.

    Attributes:
        left_out: How many `pairs` of queue and function, and `failures` of queue and exception, are over the
            limit and counted nowhere: those with the fewest executions.
        unreadable: The fields that can't be read; they are counted nowhere else.
    """

    outcomes: Mapping[tuple[str, str, str], int]
    failures: Mapping[tuple[str, str], int]
    retries: Mapping[str, int]
    horses_killed: Mapping[str, int]
    wait: Mapping[tuple[str, str], Histogram]
    run: Mapping[tuple[str, str], Histogram]
    left_out: Mapping[str, int]
    unreadable: tuple[str, ...]


@dataclass(slots=True)
class _Times:
    """Histograms by (queue, function), while their fields are read."""

    buckets: defaultdict[tuple[str, str], dict[float, int]] = field(default_factory=lambda: defaultdict(dict))
    sums: dict[tuple[str, str], float] = field(default_factory=dict)

    def read(self) -> Mapping[tuple[str, str], Histogram]:
        histograms = {
            where: Histogram(MappingProxyType(self.buckets.get(where, {})), self.sums.get(where, 0.0))
            for where in {**self.buckets, **self.sums}
        }
        return MappingProxyType(histograms)


def parse(counts: Mapping[bytes, bytes]) -> JobCounts:
    """Read the record from the answer to COMMANDS; a field that can't be read affects no other."""
    kept, left_out = _largest(counts)
    numbers, unreadable = amounts(kept, "jobs", bars=3)
    outcomes: dict[tuple[str, str, str], int] = {}
    failures: dict[tuple[str, str], int] = {}
    retries: dict[str, int] = {}
    horses_killed: dict[str, int] = {}
    wait, run = _Times(), _Times()
    odd = []
    for name, number in numbers.items():
        kind, detail, function, queue = name.split("|", 3)
        times = wait if kind.startswith("wait") else run
        try:
            if kind in ("wait", "run"):
                add_to_bucket(times.buckets[(queue, function)], detail, int(number))
            elif kind in ("wait_sum", "run_sum"):
                times.sums[(queue, function)] = number
            elif kind == "outcome":
                outcomes[(queue, function, JobOutcome(detail))] = int(number)
            elif kind == "failure":
                failures[(queue, detail)] = int(number)
            elif kind == "retry":
                retries[queue] = int(number)
            elif kind == "horse_killed":
                horses_killed[queue] = int(number)
            else:
                raise ValueError(f"{kind} is not counted")
        except ValueError:
            odd.append(f"jobs {name.encode()!r}")
    return JobCounts(
        MappingProxyType(outcomes),
        MappingProxyType(failures),
        MappingProxyType(retries),
        MappingProxyType(horses_killed),
        wait.read(),
        run.read(),
        left_out=MappingProxyType(left_out),
        unreadable=(*unreadable, *odd),
    )


def _largest(counts: Mapping[bytes, bytes]) -> tuple[Mapping[bytes, bytes], dict[str, int]]:
    """Return the fields to read, and how many groups are left out: counts from before workers limited them.

    Groups left out are not added to `other`: the counter would fall when one of them is later counted by
    itself, and a falling counter reads as a restart.
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
    left_out = {"pairs": max(0, len(fields) - _MOST_PAIRS), "failures": max(0, len(failures) - _MOST_PAIRS)}
    if not any(left_out.values()):
        return counts, left_out
    pairs = largest({pair: ended.get(pair, 0.0) for pair in fields}, _MOST_PAIRS)
    kept = chain(others, largest(failures, _MOST_PAIRS), *(fields[pair] for pair in pairs))
    return {name: counts[name] for name in kept}, left_out
