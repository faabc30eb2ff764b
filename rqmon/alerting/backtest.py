"""How often each alert would have fired, by what Prometheus has recorded."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rqmon.alerting.client import AlertingError, Server
from rqmon.metrics import WATCHDOG

# Six evaluations: a week is 20,160 moments of each alert, and what holds for less is hardly told.
STEP_SECONDS = 30
# Prometheus answers with 11,000 points of a series at most.
_MOST_POINTS = 10_000
# Whose series show when Prometheus ran, and when it had the rules that most alerts ask.
_RAN, _RECORDED = "up", "redis:rq_workers:sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """One alert.

    Attributes:
        name: Its name.
        severity: critical, warning or info.
        times: How often it would have begun to fire.
        seconds: How long it would have fired in all.
        longest_seconds: The longest of these times.
        series: Of how many label sets, such as queues.
    """

    name: str
    severity: str
    times: int
    seconds: float
    longest_seconds: float
    series: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """All alerts, the noisiest first.

    Attributes:
        alerts: But the watchdog, which always fires.
        asked_seconds: How far back was asked.
        recorded_seconds: For how much of it Prometheus ran.
        rules_seconds: For how much of it the recorded series that alerts ask were there.
        failed: Alerts whose expression Prometheus refused, with its reason.
    """

    alerts: tuple[Tested, ...]
    asked_seconds: float
    recorded_seconds: int
    rules_seconds: int
    failed: tuple[str, ...]


def backtest(prometheus: Server, *, since_seconds: float) -> Backtest:
    """Evaluate every alert's expression over the past, at steps of 30 s.

    Raises:
        AlertingError: Prometheus does not answer, or has no alerts.
    """
    end = time.time() // STEP_SECONDS * STEP_SECONDS
    start = end - since_seconds
    groups = prometheus.query("rules", type="alert")["groups"]
    rules = [rule for group in groups for rule in group["rules"] if rule["name"] != WATCHDOG]
    if not rules:
        raise AlertingError(
            f"Prometheus at {prometheus.url} has no alerts: does it read this project's rules?"
        )
    ran = _moments(prometheus, _RAN, start=start, end=end)
    tested, failed = [], []
    for rule in rules:
        try:
            series = _series(prometheus, rule["query"], start=start, end=end)
            # While Prometheus did not run nothing fired, whatever is absent there.
            tested.append(
                _tested(rule, [[at for at in moments if at in ran] for moments in series], until=end)
            )
        except AlertingError as error:
            failed.append(f"{rule['name']}: {error}")
    return Backtest(
        alerts=tuple(sorted(tested, key=lambda it: (-it.times, -it.seconds, it.name))),
        asked_seconds=since_seconds,
        recorded_seconds=len(ran) * STEP_SECONDS,
        rules_seconds=len(_moments(prometheus, _RECORDED, start=start, end=end)) * STEP_SECONDS,
        failed=tuple(failed),
    )


def firings(
    moments: Iterable[float], *, for_seconds: float, keep_seconds: float, step_seconds: float
) -> Iterator[tuple[float, float]]:
    """When an alert fires and ends, by the moments at which its expression holds, in ascending order.

    A time without an answer ends what was pending, as Prometheus does it, and what fired after
    `keep_seconds`.
    """
    began = fired = None
    last = 0.0
    for moment in moments:
        if fired is not None and moment - last > max(step_seconds, keep_seconds + step_seconds):
            yield fired, last + keep_seconds
            began = fired = None
        elif fired is None and began is not None and moment - last > step_seconds:
            began = None
        began = moment if began is None else began
        last = moment
        # What holds for less than a step is seen at one moment.
        if fired is None and moment - began >= (for_seconds if for_seconds >= step_seconds else 0):
            fired = moment
    if fired is not None:
        yield fired, last + keep_seconds


def _tested(rule: dict[str, Any], series: list[list[float]], *, until: float) -> Tested:
    times = [
        min(ended, until) - fired + STEP_SECONDS
        for moments in series
        for fired, ended in firings(
            moments,
            for_seconds=rule.get("duration", 0),
            keep_seconds=rule.get("keepFiringFor", 0),
            step_seconds=STEP_SECONDS,
        )
    ]
    return Tested(
        name=rule["name"],
        severity=rule["labels"].get("severity", ""),
        times=len(times),
        seconds=sum(times),
        longest_seconds=max(times, default=0.0),
        series=sum(map(bool, series)),
    )


def _series(prometheus: Server, expr: str, *, start: float, end: float) -> Iterable[list[float]]:
    """The moments at which each series of the expression has a value."""
    found: dict[frozenset[tuple[str, str]], list[float]] = {}
    while start <= end:
        until = min(end, start + _MOST_POINTS * STEP_SECONDS)
        data = prometheus.query(
            "query_range", query=expr, start=f"{start:.0f}", end=f"{until:.0f}", step=f"{STEP_SECONDS}"
        )
        for each in data["result"]:
            # A value that ranges over the alert's labels only: its name is no part of them.
            labels = frozenset((name, value) for name, value in each["metric"].items() if name != "__name__")
            found.setdefault(labels, []).extend(float(at) for at, _ in each["values"])
        start = until + STEP_SECONDS
    return found.values()


def _moments(prometheus: Server, selector: str, *, start: float, end: float) -> set[float]:
    """When there was a series of it."""
    series = _series(prometheus, f"group({selector})", start=start, end=end)
    return {moment for moments in series for moment in moments}
