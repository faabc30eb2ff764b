"""One cron entry: what runs, when, and how it is written down; no Redis, and the time is an argument."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from cronsim import CronSim, CronSimError

from scheduler.errors import CronError


def next_slot(cron: str, after: datetime) -> datetime:
    """The first time after `after` that the expression names, in the time zone of `after`.

    Raises:
        CronError: The expression is invalid or names no time within 50 years; the message says which field.
    """
    if len(cron.split()) != 5:
        raise CronError(f"Invalid cron {cron!r}: it takes five fields, minute hour day month weekday")
    try:
        return next(CronSim(cron, after))
    except CronSimError as error:
        raise CronError(f"Invalid cron {cron!r}: {str(error).lower()}") from None
    except StopIteration:
        raise CronError(f"Cron {cron!r} never comes: no date matches it") from None


def _canonical(value: object) -> object:
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    text = f"{type(value).__qualname__}:{value!r}"
    if " at 0x" in text:
        raise CronError(
            f"An argument of type {type(value).__qualname__} has no stable text to derive the id from: "
            "give cron_id"
        )
    return text


def arguments_digest(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """A fingerprint of arguments that is the same in every process, unlike their pickle.

    Raises:
        CronError: An argument's repr differs from process to process.
    """
    try:
        text = json.dumps([list(args), dict(kwargs)], sort_keys=True, default=_canonical)
    except TypeError as error:
        raise CronError(
            f"The entry's id can't be derived from its arguments ({error}): give cron_id"
        ) from None
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class CronEntry:
    """A job that repeats on a cron; equal to another entry with the same id.

    Attributes:
        id: Given, or derived from function, arguments, queue and cron.
        function: Import path.
        args: Positional arguments.
        kwargs: Keyword arguments.
        queue_name: Where each slot's job is enqueued.
        cron: Five-field expression, in UTC.
        timeout: Seconds a job may run.
        description: What people read.
        retry_max: Retries of each slot's job; 0 is none.
        retry_intervals: Seconds before each retry.
        digest: Fingerprint of the arguments; None where they have none.
        declared: Whether the cron process's own file gave it; only such an entry goes when the file drops it.
    """

    id: str
    function: str = field(compare=False)
    args: tuple[Any, ...] = field(default=(), compare=False, repr=False)
    kwargs: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    queue_name: str = field(compare=False)
    cron: str = field(compare=False)
    timeout: int = field(compare=False)
    description: str = field(compare=False)
    retry_max: int = field(default=0, compare=False)
    retry_intervals: tuple[int, ...] = field(default=(), compare=False)
    digest: str | None = field(default=None, compare=False)
    declared: bool = field(default=False, compare=False)

    @property
    def meta(self) -> dict[str, Any]:
        """What rq-scheduler keeps of a cron job: `cron_string` and `use_local_timezone`."""
        return {"cron_string": self.cron, "use_local_timezone": False}

    def spec(self) -> dict[str, Any]:
        """Everything but the arguments, as JSON takes it."""
        spec = asdict(self)
        del spec["args"], spec["kwargs"]
        spec["retry_intervals"] = list(self.retry_intervals)
        return spec

    @classmethod
    def from_spec(cls, spec: dict[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> "CronEntry":
        """The entry that `spec` describes."""
        intervals = tuple(spec["retry_intervals"])
        return cls(**{**spec, "retry_intervals": intervals}, args=tuple(args), kwargs=dict(kwargs))


def derive_id(*, function: str, queue_name: str, cron: str, digest: str) -> str:
    """The id of an entry that was given none: registering it again finds it, a changed one is another."""
    return hashlib.sha256("\0".join((function, queue_name, cron, digest)).encode()).hexdigest()[:16]
