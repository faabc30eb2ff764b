"""One cron entry: what runs, when, and the fate of each slot. No Redis; the time is an argument."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict

from scheduler.config import current
from scheduler.cron.slots import TEN_YEARS_IN_SECONDS, Due, Schedule
from scheduler.durations import YEAR_SECONDS, is_number, is_timeout
from scheduler.errors import ArgumentError, CronError
from scheduler.ledger.cron import Outcome as Outcome
from scheduler.serializers import SERIALIZERS, check_text

CatchUp = Literal["latest", "all", "skip"]
Overlap = Literal["allow", "skip"]


# The callers' name for a field, where it differs.
_GIVEN_AS = {"id": "cron_id"}

# Ids, functions and queues are parts of keys, labels of metrics and words of commands.
_LONGEST_NAME = 1000
_MOST_RETRIES = 1_000_000


def _check_text(name: str, value: str, *, is_name: bool) -> None:
    if not value:
        raise CronError(f"{name} is {value!r}: use a string")
    try:
        check_text(name, value)
    except ArgumentError as error:
        raise CronError(str(error)) from None
    if is_name and len(value) > _LONGEST_NAME:
        raise CronError(f"{name} has {len(value)} characters: use at most {_LONGEST_NAME}")


def spec_fields(spec: bytes) -> dict[str, Any]:
    """Return the fields of a stored entry, unchecked.

    Raises:
        ValueError: It is not a JSON object.
    """
    try:
        fields = json.loads(spec)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if not isinstance(fields, dict):
        raise ValueError("it is not a JSON object")
    return fields


class CronOptions(TypedDict, total=False):
    """Further options of a cron entry.

    Attributes:
        cron_id: The entry's id; by default derived from function, arguments, queue and schedule.
        timezone: IANA name of the cron's time zone; by default UTC.
        catch_up: Which slots that passed while no process ran get a job: "latest" (the default), "all" (the
            last 100), "skip" (none that is late).
        overlap: "allow" (the default), or "skip" a slot while the entry's previous job is not done.
        late_after_seconds: A job queued longer than this after its slot is late; by default 30.
    """

    cron_id: str
    timezone: str
    catch_up: CatchUp
    overlap: Overlap
    late_after_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CronEntry:
    """A job that repeats; entries with the same id are equal.

    Attributes:
        id: Given, or derived from function, arguments, queue and schedule.
        function: Import path.
        data: Function and arguments as RQ stores them in a job; enqueueing never loads them.
        digest: Fingerprint of the arguments; None if they have none.
        queue_name: Where each slot's job is queued.
        schedule: When it is due.
        timeout: Seconds a job may run.
        description: The text that people read.
        retry_max: Retries of each slot's job; 0 is none.
        retry_intervals: Seconds before each retry.
        catch_up: See `CronOptions`.
        overlap: See `CronOptions`.
        late_after_seconds: See `CronOptions`.
        serializer: How `data` is written; an entry with another serializer counts as changed.
        declared: Whether it comes from the cron process's file; only such an entry is removed with its line
            in the file.
    """

    id: str
    function: str = field(compare=False)
    data: bytes = field(compare=False, repr=False)
    digest: str | None = field(compare=False)
    queue_name: str = field(compare=False)
    schedule: Schedule = field(compare=False)
    timeout: int = field(compare=False)
    description: str = field(compare=False)
    retry_max: int = field(default=0, compare=False)
    retry_intervals: tuple[int, ...] = field(default=(), compare=False)
    catch_up: CatchUp = field(default="latest", compare=False)
    overlap: Overlap = field(default="allow", compare=False)
    late_after_seconds: float = field(default=30.0, compare=False)
    serializer: str = field(default="pickle", compare=False)
    declared: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if self.catch_up not in ("latest", "all", "skip"):
            raise CronError(f"catch_up is {self.catch_up!r}: use latest, all or skip")
        if self.overlap not in ("allow", "skip"):
            raise CronError(f"overlap is {self.overlap!r}: use allow or skip")
        if self.serializer not in SERIALIZERS:
            raise CronError(f"serializer is {self.serializer!r}: use {' or '.join(SERIALIZERS)}")
        for name in ("id", "function", "queue_name", "description"):
            _check_text(_GIVEN_AS.get(name, name), getattr(self, name), is_name=name != "description")
        late = self.late_after_seconds
        if not is_number(late) or not 0 < late <= TEN_YEARS_IN_SECONDS:
            raise CronError(f"late_after_seconds is {late!r}: use a number above 0, up to ten years")
        for number, most in (
            (self.retry_max, _MOST_RETRIES),
            *((i, YEAR_SECONDS) for i in self.retry_intervals),
        ):
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= most:
                raise CronError(
                    f"A number of retries or of seconds is {number!r}: use a whole number from 0 to a year"
                )
        if not is_timeout(self.timeout, longest_seconds=TEN_YEARS_IN_SECONDS):
            raise CronError(
                f"timeout is {self.timeout!r}: use whole seconds from 1 to {TEN_YEARS_IN_SECONDS}, "
                "a string such as 1h, or -1 for no limit"
            )

    @property
    def args(self) -> tuple[Any, ...]:
        """Positional arguments; loading them imports their modules."""
        return tuple(self._loaded()[2])

    @property
    def kwargs(self) -> dict[str, Any]:
        """Keyword arguments; loading them imports their modules."""
        return dict(self._loaded()[3])

    def _loaded(self) -> Any:
        # Whoever sets json unpickles nothing, whatever the stored entry says of itself.
        if self.serializer != "json" and current().serializer == "json":
            raise CronError(f"Cron entry {self.id!r} is pickled, but RQ_SERIALIZER is json: register it")
        return SERIALIZERS[self.serializer].loads(self.data)

    @property
    def func_name(self) -> str:
        """`function`, as RQ's jobs call it."""
        return self.function

    @property
    def meta(self) -> dict[str, Any]:
        """The meta of rq-scheduler's cron jobs: `cron_string` and `use_local_timezone`."""
        return {"cron_string": self.schedule.cron, "use_local_timezone": False}

    def spec(self) -> dict[str, Any]:
        """Everything but the arguments, ready for JSON."""
        spec = asdict(self)
        del spec["data"]
        spec["retry_intervals"] = list(self.retry_intervals)
        return spec

    @classmethod
    def from_stored(cls, id_: str, spec: bytes | None, data: bytes | None) -> "CronEntry":
        """Return the entry stored as `spec` (JSON) and `data`.

        Raises:
            CronError: They can't be read: another version of this package wrote them, or somebody by hand.
        """
        if spec is None or data is None:
            raise CronError(f"There is no cron entry {id_!r}, or part of it is missing: see rqmon cron list")
        try:
            fields = spec_fields(spec)
            if fields["id"] != id_:
                raise CronError(f"it says that it is {fields['id']!r}")
            fields["schedule"] = Schedule(**fields["schedule"])
            fields["retry_intervals"] = tuple(fields["retry_intervals"])
            return cls(**fields, data=data)
        except (TypeError, KeyError, ValueError, OverflowError, CronError) as error:
            raise CronError(f"Cron entry {id_!r} can't be read: {error}. Register it again") from None

    def outcomes(
        self, due: Due, *, now: datetime, busy: bool
    ) -> tuple[list[datetime], dict[Outcome, list[datetime]]]:
        """Decide the fate of the due slots.

        Args:
            due: The due slots.
            now: The time.
            busy: Whether the job of the slot before them is queued, scheduled or running.

        Returns:
            The slots whose jobs are to be queued, and the others by outcome. Slots too many to be listed are
            missed too; their number is `due.total` less all that is returned.
        """
        chosen = list(due.slots) if self.catch_up == "all" else list(due.slots[-1:])
        if (
            self.catch_up == "skip"
            and chosen
            and now - chosen[-1] > timedelta(seconds=self.late_after_seconds)
        ):
            chosen = []
        dropped: dict[Outcome, list[datetime]] = {
            Outcome.MISSED: [slot for slot in due.slots if slot not in chosen],
            Outcome.SKIPPED: [],
        }
        if self.overlap == "skip":
            queued = [] if busy else chosen[:1]
            dropped[Outcome.SKIPPED] = chosen[len(queued) :]
            chosen = queued
        return chosen, dropped


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse a misspelt option, which would be ignored in silence.

    Raises:
        CronError: There is no such option.
    """
    if unknown := [name for name in options if name not in CronOptions.__annotations__]:
        raise CronError(f"There is no option {unknown[0]!r}: use {', '.join(CronOptions.__annotations__)}")


def _canonical(value: object) -> Any:
    """Return a value and its type in a form that JSON takes and that is the same in every process."""
    name = type(value).__qualname__
    if isinstance(value, list | tuple):
        return [name, [_canonical(item) for item in value]]
    if isinstance(value, Mapping):
        return [name, sorted((_canonical([key, item]) for key, item in value.items()), key=json.dumps)]
    if isinstance(value, set | frozenset):
        return [name, sorted((_canonical(item) for item in value), key=json.dumps)]
    text = repr(value)
    if " at 0x" in text:
        raise CronError(f"An argument of type {name} has no stable repr to derive the id from: give cron_id")
    return [name, text]


def arguments_digest(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return a fingerprint of the arguments that, unlike their pickle, is the same in every process.

    Raises:
        CronError: An argument's repr differs from process to process, or fails.
    """
    try:
        text = json.dumps(_canonical([*args, dict(kwargs)]))
    except CronError:
        raise
    except Exception as error:  # a repr can raise anything, and what contains itself has no end
        raise CronError(
            f"The arguments have no repr to derive the id from ({type(error).__name__}): give cron_id"
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def derive_id(*, function: str, queue_name: str, schedule: Schedule, digest: str) -> str:
    """Return the id of an entry that was given none; a changed entry gets another id."""
    text = json.dumps([function, queue_name, asdict(schedule), digest])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
