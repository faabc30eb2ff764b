"""What became of cron slots: counts by entry and outcome, and the last slots of each entry."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from scheduler.connections.refusals import refusal
from scheduler.ledger.reading import Histogram, add_to_bucket, amounts

OUTCOMES = "rqmon:ledger:cron:outcomes"  # hash: "<entry id>|<outcome>" -> slots
LAST = "rqmon:ledger:cron:last"  # hash: entry id -> its last slot that got a job, in Unix seconds
LATENESS = "rqmon:ledger:cron:lateness"  # hash: upper bound of a bucket -> slots, and "sum" -> seconds
COMMANDS = {
    "cron outcomes": ("HGETALL", OUTCOMES),
    "cron last": ("HGETALL", LAST),
    "cron lateness": ("HGETALL", LATENESS),
}
_CRON_HISTORY = "rqmon:ledger:cron:history:"  # one list per entry: one JSON object per slot, newest first
CRON_HISTORY_KEPT = 100  # past slots that are listed one by one; older ones are only counted
_FIRST_YEAR, _LAST_YEAR = 1970, 9000  # of a slot


class Outcome(StrEnum):
    """What became of a slot; every slot that was due has exactly one."""

    RAN = "ran"  # its job was queued in time
    LATE = "late"  # its job was queued, later than the entry allows
    MISSED = "missed"  # no process was there in time, and `catch_up` dropped it
    SKIPPED = "skipped"  # the entry's previous job was not done, and `overlap` dropped it


# Counts slots whose jobs were queued. It runs in the transaction that queues them and asks the server for the
# time there: a process that is stopped just before the transaction must not call a late slot punctual. A key
# of the wrong type affects only its own count; errors are returned beside each slot's lateness.
_COUNT_QUEUED = """
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end
local bounds = cjson.decode(ARGV[2])
local lateness, failed = {}, {}
local function count(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then failed[#failed + 1] = answer.err end
end
for i = 4, #ARGV, 4 do
  local id, slot, late_after, job = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), ARGV[i + 3]
  local behind = now - slot
  local outcome = behind > late_after and 'LATE' or 'RAN'
  count('HINCRBY', KEYS[1], id .. '|' .. outcome, 1)
  count('HSET', KEYS[2], id, slot)
  local le = '+Inf'
  for _, bound in ipairs(bounds) do
    if behind <= bound then le = string.format('%g', bound) break end
  end
  count('HINCRBY', KEYS[3], le, 1)
  count('HINCRBYFLOAT', KEYS[3], 'sum', behind)
  local history = KEYS[3 + i / 4]
  count('LPUSH', history, cjson.encode({slot = slot, outcome = outcome, lateness = behind, job = job}))
  count('LTRIM', history, 0, ARGV[3] - 1)
  lateness[#lateness + 1] = tostring(behind)
end
return {lateness, failed}
""".replace("'LATE'", f"'{Outcome.LATE}'").replace("'RAN'", f"'{Outcome.RAN}'")


@dataclass(frozen=True, slots=True)
class QueuedSlot:
    """A slot whose job is queued in the transaction that counts it."""

    entry_id: str
    slot: datetime
    late_after_seconds: float
    job_id: str


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """What became of one slot; a dropped slot has neither lateness nor job."""

    slot: datetime
    outcome: str
    lateness_seconds: float | None
    job_id: str | None


@dataclass(frozen=True, slots=True)
class CronCounts:
    """Slots by entry id and outcome, each entry's last slot that got a job, and how late slots were queued.

    Times are Unix times; fields in `unreadable` are counted nowhere else.
    """

    outcomes: Mapping[str, Mapping[str, int]]
    last: Mapping[str, float]
    lateness: Histogram
    unreadable: tuple[str, ...]


def count_queued_slots(
    pipe: Any, slots: Iterable[QueuedSlot], *, now: datetime | None, bounds: tuple[float, ...]
) -> None:
    """Count each slot as ran or late, by the server's clock unless `now` is given.

    The transaction's answer is two lists: how late each slot is, in seconds, and the errors of failed counts.

    Args:
        pipe: The transaction that queues their jobs.
        slots: The slots.
        now: The time at which lateness is measured; None means the server's.
        bounds: Upper bounds of the lateness histogram's buckets, in seconds.
    """
    keys = [OUTCOMES, LAST, LATENESS]
    arguments: list[str | float] = [now.timestamp() if now else 0, json.dumps(bounds), CRON_HISTORY_KEPT]
    for slot in slots:
        keys.append(_CRON_HISTORY + slot.entry_id)
        arguments += [slot.entry_id, slot.slot.timestamp(), slot.late_after_seconds, slot.job_id]
    # EVAL, because EVALSHA would need another round trip to ask whether the server knows the script.
    pipe.eval(_COUNT_QUEUED, len(keys), *keys, *arguments)


def count_dropped_slots(
    pipe: Any, entry_id: bytes, outcome: str, *, slots: list[datetime], total: int
) -> None:
    """Count `total` slots that got no job, of which `slots` are the last."""
    if not total:
        return
    pipe.hincrby(OUTCOMES, entry_id + f"|{outcome}".encode(), total)
    if slots:
        records = [json.dumps({"slot": slot.timestamp(), "outcome": outcome}) for slot in slots]
        pipe.lpush(_CRON_HISTORY.encode() + entry_id, *records)
        pipe.ltrim(_CRON_HISTORY.encode() + entry_id, 0, CRON_HISTORY_KEPT - 1)


def cron_outcomes(connection: Redis) -> Mapping[str, Mapping[str, int]]:
    """Return each entry's slots by outcome, `{entry id: {outcome: slots}}`, in one round trip.

    Empty if the key is of the wrong type.
    """
    try:
        answer: Any = connection.hgetall(OUTCOMES)
    except ResponseError as error:
        if refusal(error):
            raise
        answer = {}
    return _outcomes(answer)[0]


def parse(
    outcomes: Mapping[bytes, bytes], last: Mapping[bytes, bytes], lateness: Mapping[bytes, bytes]
) -> CronCounts:
    """Read the counts from the answers to COMMANDS; a field that can't be read affects no other."""
    counted, odd_outcomes = _outcomes(outcomes)
    times, odd_times = amounts(last, "cron last")
    behind, odd_behind = amounts(lateness, "cron lateness")
    sum_seconds = behind.pop("sum", 0.0)
    buckets: dict[float, int] = {}
    odd_buckets = []
    for le, slots in behind.items():
        try:
            add_to_bucket(buckets, le, int(slots))
        except ValueError:
            odd_buckets.append(f"cron lateness {le.encode()!r}")
    return CronCounts(
        counted,
        MappingProxyType(times),
        Histogram(MappingProxyType(buckets), sum_seconds),
        unreadable=(*odd_outcomes, *odd_times, *odd_behind, *odd_buckets),
    )


def _outcomes(answer: Mapping[bytes, bytes]) -> tuple[Mapping[str, Mapping[str, int]], tuple[str, ...]]:
    counted: dict[str, dict[str, int]] = {}
    numbers, unreadable = amounts(answer, "cron outcomes", bars=1)
    for name, slots in numbers.items():
        entry_id, _, outcome = name.rpartition("|")
        counted.setdefault(entry_id, {})[outcome] = int(slots)
    frozen = {entry_id: MappingProxyType(slots) for entry_id, slots in counted.items()}
    return MappingProxyType(frozen), unreadable


def cron_history(connection: Redis, entry_ids: Iterable[str], *, last: int) -> dict[str, list[SlotRecord]]:
    """Return each entry's last slots, newest first, in one round trip; unreadable ones are left out."""
    ids = list(entry_ids)
    with connection.pipeline(transaction=False) as pipe:
        for entry_id in ids:
            pipe.lrange(_CRON_HISTORY + entry_id, 0, last - 1)
        answers = pipe.execute(raise_on_error=False)
    for number, answer in enumerate(answers):
        if isinstance(answer, ResponseError):
            if refusal(answer):
                raise answer
            answers[number] = []  # a history that is not a list affects no other
    return {
        id_: [record for record in map(_record, answer) if record is not None]
        for id_, answer in zip(ids, answers, strict=True)
    }


def forget_cron(pipe: Any, entry_ids: Iterable[bytes]) -> None:
    """Delete the records of removed entries."""
    for id_ in entry_ids:
        pipe.hdel(OUTCOMES, *(id_ + b"|" + outcome.encode() for outcome in Outcome))
        pipe.hdel(LAST, id_)
        pipe.delete(_CRON_HISTORY.encode() + id_)


def _record(item: bytes) -> SlotRecord | None:
    try:
        fields = json.loads(item)
        lateness, job_id = fields.get("lateness"), fields.get("job")
        record = SlotRecord(
            slot=datetime.fromtimestamp(fields["slot"], UTC),
            outcome=str(fields["outcome"]),
            lateness_seconds=None if lateness is None else float(lateness),
            job_id=None if job_id is None else str(job_id),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError):
        return None
    # Shown in another zone, the first and last year must stay within the calendar; JSON has no infinity.
    is_time = _FIRST_YEAR <= record.slot.year <= _LAST_YEAR
    return record if is_time and math.isfinite(record.lateness_seconds or 0.0) else None
