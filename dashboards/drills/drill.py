"""One drill: a fault, the alert that tells of it, and the words of its runbook that mend it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dashboards.drills.stage import Stage
from scheduler import SHORT_RUNNING_QUEUE

Act = Callable[[Stage], object]
# The words that several runbooks have.
RESTART = ("make stop-rq-mon", "make start-rq-mon")
REQUEUE = ".venv/bin/rq requeue --queue QUEUE --all"
MORE_WORKERS = ".venv/bin/python short-running-worker.py"
OF_SHORT = {"QUEUE": SHORT_RUNNING_QUEUE}


def nothing(_stage: Stage) -> None:
    """For a drill whose commands do it all."""


@dataclass(frozen=True, kw_only=True)
class Drill:
    """One alert on its real fault.

    Attributes:
        alert: Its name.
        fault: What is done, in a few words.
        inject: Does it.
        mend: Words of the runbook's section, or of one that it leads to. Lines in backquotes there are run as
            they are, `>>> ` lines by Python, but for the names.
        names: What stands for the words in capitals of those lines.
        act: What people do themselves, besides the commands; before them.
        afterwards: Puts back what the drill has set and nobody would have.
        stays: Whether the command is one that goes on, a worker's.
        cleared_by_restart: Whether Alertmanager is restarted too, and so forgets what to call resolved.
        never_clears: Of the watchdog.
        finding: A part of what `rqmon doctor` says of the cause; empty where Redis does not show it.
        fires_within_seconds: How long it may take to be told.
        clears_within_seconds: The same, after the commands.
    """

    alert: str
    fault: str
    inject: Act
    mend: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    act: Act = nothing
    afterwards: Act = nothing
    stays: bool = False
    cleared_by_restart: bool = False
    never_clears: bool = False
    finding: str = ""
    fires_within_seconds: float = 90
    clears_within_seconds: float = 90
