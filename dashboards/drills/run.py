"""Runs one drill, and measures it."""

import time
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from dashboards.drills.drill import Drill
from dashboards.drills.stage import DrillError, Stage, filled
from rqmon.metrics import WATCHDOG

# What a fault leaves in the longest windows, of six hours, is gone after six minutes.
_SILENCE_SECONDS = 400.0
# It looks at what is a minute old, and at a job's worker after two.
_DOCTOR_SECONDS = 150.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a drill.

    Attributes:
        alert: The alert.
        fault: What was done.
        fired_seconds: From when the fault was done until the receiver was told; None if it was not.
        cleared_seconds: From the first word of the runbook until it was told that it is over.
        told_beside: What else it was told meanwhile.
        problem: What does not hold; empty when all does.
    """

    alert: str
    fault: str
    fired_seconds: float | None = None
    cleared_seconds: float | None = None
    told_beside: tuple[str, ...] = ()
    problem: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        return (
            self.alert,
            self.fault,
            _written(self.fired_seconds),
            _written(self.cleared_seconds),
            self.problem,
        )

    @property
    def line(self) -> str:
        """The row as a line, for while the others run."""
        beside = f" (also told: {', '.join(self.told_beside)})" if self.told_beside else ""
        fires, clears, problem = self.cells[2:]
        return f"{self.alert}: fires {fires}, clears {clears}{beside} {problem}".rstrip()

    @property
    def figures(self) -> dict[str, Any]:
        """For the line of JSON."""
        return {**vars(self), "told_beside": list(self.told_beside)}


def run(stage: Stage, drill: Drill) -> Result:
    """Cause, wait, mend, wait; then wait until nothing fires any more."""
    measured: dict[str, Any] = {}
    began = time.time()
    try:
        _cause(stage, drill, measured)
        if drill.finding:
            _ask_doctor(stage, drill.finding)
        if not drill.never_clears:
            _mend(stage, drill, measured)
    except (DrillError, RedisError) as error:
        measured["problem"] = str(error)
    told = {t.alert for t in stage.receiver.told if t.at >= began and t.status == "firing"}
    beside = tuple(sorted(told - {drill.alert, WATCHDOG}))
    try:
        drill.afterwards(stage)
        stage.command("make start-rq-mon")
        stage.tidy()
        stage.wait(lambda: not stage.firing().keys() - {WATCHDOG}, "nothing fires", seconds=_SILENCE_SECONDS)
    except (DrillError, RedisError) as error:
        measured.setdefault("problem", f"afterwards, {error}: {', '.join(stage.firing())}")
    return Result(alert=drill.alert, fault=drill.fault, told_beside=beside, **measured)


def _cause(stage: Stage, drill: Drill, measured: dict[str, Any]) -> None:
    since = 0.0 if drill.never_clears else time.time()
    drill.inject(stage)
    began = time.time()
    stage.wait(
        lambda: stage.receiver.first(drill.alert, "firing", since=since),
        "the receiver is told",
        seconds=drill.fires_within_seconds,
    )
    if drill.alert not in stage.at_alertmanager():
        raise DrillError("Alertmanager does not list it")
    measured["fired_seconds"] = round(max(time.time() - began, 0.0), 1)


def _ask_doctor(stage: Stage, finding: str) -> None:
    facts: list[str] = []

    def is_named() -> bool:
        facts[:] = stage.doctor()
        return any(finding in fact for fact in facts)

    try:
        stage.wait(is_named, "the doctor names the cause", seconds=_DOCTOR_SECONDS)
    except DrillError as error:
        raise DrillError(f"{error}; it says: {' '.join(facts) or 'nothing'}") from None


def _mend(stage: Stage, drill: Drill, measured: dict[str, Any]) -> None:
    began = time.time()
    drill.act(stage)
    for text in drill.mend:
        if not text.startswith(">>> ") and _is_command(text):
            stage.command(filled(text, drill.names), stays=drill.stays)
    if lines := [filled(text, drill.names)[4:] for text in drill.mend if text.startswith(">>> ")]:
        stage.command(f".venv/bin/python -c '{'; '.join(lines)}'")
    stage.wait(lambda: _is_over(stage, drill, since=began), "it clears", seconds=drill.clears_within_seconds)
    measured["cleared_seconds"] = round(time.time() - began, 1)


def _is_command(text: str) -> bool:
    return text.startswith(("make ", ".venv/bin/"))


def _is_over(stage: Stage, drill: Drill, *, since: float) -> bool:
    if drill.cleared_by_restart:
        listed = stage.at_alertmanager()
        return WATCHDOG in listed and drill.alert not in {*listed, *stage.firing()}
    return stage.receiver.first(drill.alert, "resolved", since=since) is not None


def _written(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s"
