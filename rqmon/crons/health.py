"""The health of cron, in words: which processes run, which get their work done, what can't be queued."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from rqmon.terminal import shortened
from scheduler.cron.heartbeats import LIVE_SECONDS, PROCESSES, Heartbeat, seen
from scheduler.cron.store.listing import Listing

_NAMED = 20


@dataclass(frozen=True, slots=True)
class Health:
    """The state of cron at one moment.

    Attributes:
        processes: The live processes, by name.
        working: The names of those processes that get their work done.
        dead: The names of processes that ended without saying so, until the next process starts.
        unreadable_processes: The names of processes whose heartbeats can't be read.
        cant_run: Why entries can't be queued, by id: they are unreadable, or a process reports that it can't.
        overdue: How many entries should have been queued but were not.
        is_well: Whether a process gets its work done and can queue at least one readable entry.
    """

    processes: Mapping[str, Heartbeat]
    working: frozenset[str]
    dead: tuple[str, ...]
    unreadable_processes: tuple[str, ...]
    cant_run: Mapping[str, str]
    overdue: int
    is_well: bool

    @classmethod
    def of(cls, connection: Redis, listing: Listing) -> "Health":
        """Read the heartbeats, and combine them with the listing."""
        found, now = seen(connection)
        reported = {
            id_: f"{reason} (says {_name(process)})"
            for process in found.live.values()
            for id_, reason in process.passed_over.items()
        }
        working = {name: it for name, it in found.live.items() if it.is_working(now)}
        return cls(
            processes=found.live,
            working=frozenset(working),
            dead=tuple(name.decode(errors="backslashreplace") for name in found.gone),
            unreadable_processes=found.unreadable,
            cant_run={**reported, **listing.unreadable},
            overdue=sum(
                state.next_slot is not None and (listing.now - state.next_slot).total_seconds() > LIVE_SECONDS
                for state in listing.states
            ),
            is_well=any(_can_queue(it, listing) for it in working.values()),
        )

    def summary(self) -> str:
        """Name the live processes, in one line."""
        names = sorted(
            f"{_name(it)} ({shortened(it.version)})" if it.version else _name(it)
            for it in self.processes.values()
        )
        return f"Live cron processes: {', '.join(names) or 'none'}"

    def problems(self) -> Iterator[str]:
        """Yield the problems, one line each."""
        for name, it in sorted(self.processes.items()):
            if name not in self.working:
                since = f" since {_time(it.worked_at):%d %b %H:%M:%S} UTC" if it.worked_at else ""
                yield f"{_name(it)} queues nothing{since}: {shortened(it.trouble) or 'it does not say why'}"
        if self.unreadable_processes:
            yield (
                f"Unreadable in {PROCESSES}, and possibly a process: "
                f"{', '.join(map(shortened, self.unreadable_processes[:_NAMED]))}"
            )
        if self.cant_run:
            number = len(self.cant_run)
            yield f"{number} {'entry' if number == 1 else 'entries'} can't be run:"
            for id_, reason in list(self.cant_run.items())[:_NAMED]:
                yield f"  {shortened(id_)}: {shortened(reason)}"
        if self.overdue:
            entries = "entry is" if self.overdue == 1 else "entries are"
            yield f"{self.overdue} {entries} overdue: see rqmon cron list"

    def as_dict(self) -> dict[str, Any]:
        """Return the same data for programs."""
        return {
            "processes": [
                {
                    **asdict(it),
                    "name": name,
                    "working": name in self.working,
                    "started_at": _time(it.started_at),
                    "heartbeat": _time(it.heartbeat),
                    "worked_at": _time(it.worked_at) if it.worked_at else None,
                }
                for name, it in self.processes.items()
            ],
            "unreadable_processes": list(self.unreadable_processes),
            "cant_run": dict(self.cant_run),
        }


def _can_queue(process: Heartbeat, listing: Listing) -> bool:
    if process.passed_over_count > len(process.passed_over):  # it does not name them all
        return process.passed_over_count < len(listing.states) + len(listing.unreadable)
    return not listing.states or any(state.entry.id not in process.passed_over for state in listing.states)


def _name(process: Heartbeat) -> str:
    return f"{shortened(process.host)}:{process.pid}"


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
