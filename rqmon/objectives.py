"""monitoring/objectives.toml: how long the jobs of each queue may wait, and how many may fail."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rqmon.resources import data
from rqmon.thresholds import FAST_BURN
from scheduler.errors import ConfigError

# An alert of FAST_BURN fires at 14.4 times the share that may fail or be late: of 0.07 that is more than all.
_MOST_SHARE = math.floor(1000 / FAST_BURN) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What a queue promises.

    Attributes:
        wait_seconds: A bound of RQ_JOB_BUCKETS; time that was scheduled is no waiting.
        wait_share: The share of executions that wait no longer.
        error_share: The share of executions that may leave their job failed for good.
    """

    wait_seconds: float
    wait_share: float
    error_share: float

    @property
    def late_share(self) -> float:
        """The share of executions that may wait longer."""
        return round(1 - self.wait_share, 9)


@dataclass(frozen=True, slots=True)
class Objectives:
    """The default, and what some queues have instead."""

    default: Objective
    queues: Mapping[str, Objective] = field(default_factory=dict)

    def of(self, queue: str) -> Objective:
        """What the queue promises."""
        return self.queues.get(queue, self.default)


def read(path: Path | None = None) -> Objectives:
    """Read the project's file, or another.

    Raises:
        ConfigError: It is missing, no TOML, or has a value that can't be one, or that no alert can tell of.
    """
    path = path or data("monitoring/objectives.toml")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} can't be read ({error.strerror})") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise ConfigError(f"{path} is no TOML: {error}") from None
    if unknown := document.keys() - {"default", "queue"}:
        raise ConfigError(f"{path} has {', '.join(sorted(unknown))}: use [default] and [queue.NAME]")
    given = _table(document.get("default"), path, "[default]")
    if missing := {each.name for each in fields(Objective)} - given.keys():
        raise ConfigError(f"[default] in {path} has no {', '.join(sorted(missing))}")
    default = Objective(**given)
    queues = document.get("queue", {})
    if not isinstance(queues, dict):
        raise ConfigError(f"queue in {path} is {queues!r}: use [queue.NAME]")
    return Objectives(
        default,
        {name: replace(default, **_table(table, path, f"[queue.{name}]")) for name, table in queues.items()},
    )


def _table(table: Any, path: Path, where: str) -> dict[str, float]:
    if not isinstance(table, dict):
        raise ConfigError(f"{path} has no {where}")
    for name, value in table.items():
        if name not in {each.name for each in fields(Objective)}:
            raise ConfigError(f"{where} in {path} has {name}: use wait_seconds, wait_share and error_share")
        most = math.inf if name == "wait_seconds" else 1
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < most:
            what = "seconds above 0" if name == "wait_seconds" else "a number between 0 and 1"
            raise ConfigError(f"{name} of {where} in {path} is {value!r}: use {what}")
        allowed, bound = {
            "wait_share": (round(1 - value, 9), f"at least {1 - _MOST_SHARE:g}"),
            "error_share": (value, f"at most {_MOST_SHARE:g}"),
        }.get(name, (0, ""))
        if allowed > _MOST_SHARE:
            why = "or its critical alert can never fire"
            raise ConfigError(f"{name} of {where} in {path} is {value!r}: use {bound}, {why}")
    return {name: float(value) for name, value in table.items()}
