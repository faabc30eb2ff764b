"""What became of cron slots: counts by entry and outcome, and the last slots of each entry."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from scheduler.connections.refusals import refusal

OUTCOMES = "rqmon:ledger:cron:outcomes"  # hash: "<entry id>|<outcome>" -> slots
LAST = "rqmon:ledger:cron:last"  # hash: entry id -> its last slot that got a job, in Unix seconds
LATENESS = "rqmon:ledger:cron:lateness"  # hash: upper bound of a bucket -> slots, and "sum" -> seconds
_CRON_HISTORY = "rqmon:ledger:cron:history:"  # list an entry: JSON a slot, the newest first
_CRON_HISTORY_KEPT = 100
_FIRST_YEAR, _LAST_YEAR = 1970, 9000  # of a slot

# Counts slots whose jobs were queued. It runs in the transaction that queues them and asks the server for
# the time then: a process that is stopped just before the transaction must not call a late slot punctual.
# A key of the wrong type costs its own count: what failed is returned beside the lateness of each slot.
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
  local outcome = behind > late_after and 'late' or 'ran'
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
"""


@dataclass(frozen=True, slots=True)
class QueuedSlot:
    """A slot whose job is queued in the same transaction."""

    entry_id: str
    slot: datetime
    late_after_seconds: float
    job_id: str


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """What became of one slot; a slot that was dropped has neither lateness nor job."""

    slot: datetime
    outcome: str
    lateness_seconds: float | None
    job_id: str | None


def count_queued_slots(
    pipe: Any, slots: Iterable[QueuedSlot], *, now: datetime | None, bounds: tuple[float, ...]
) -> None:
    """Count each slot as ran or late, by the server's clock unless `now` is given.

    The transaction's answer to it is two lists: how far behind each slot is, in seconds, and the errors of
    counts that failed.

    Args:
        pipe: The transaction that queues their jobs.
        slots: The slots.
        now: The time lateness is measured at; None is the server's.
        bounds: Upper bounds of the lateness histogram's buckets, in seconds.
    """
    keys = [OUTCOMES, LAST, LATENESS]
    arguments: list[str | float] = [now.timestamp() if now else 0, json.dumps(bounds), _CRON_HISTORY_KEPT]
    for slot in slots:
        keys.append(_CRON_HISTORY + slot.entry_id)
        arguments += [slot.entry_id, slot.slot.timestamp(), slot.late_after_seconds, slot.job_id]
    # EVAL and not EVALSHA, which would ask in a round trip of its own whether the server knows the script.
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
        pipe.ltrim(_CRON_HISTORY.encode() + entry_id, 0, _CRON_HISTORY_KEPT - 1)


def cron_outcomes(connection: Redis) -> Mapping[str, Mapping[str, int]]:
    """How many slots of each entry ended how: `{entry id: {outcome: slots}}`, in one round trip.

    Nothing if the key holds something else.
    """
    try:
        answer: Any = connection.hgetall(OUTCOMES)
    except ResponseError as error:
        if refusal(error):
            raise
        answer = {}
    return parse_outcomes(answer)


def parse_outcomes(answer: Mapping[bytes, bytes]) -> Mapping[str, Mapping[str, int]]:
    """The same from the hash OUTCOMES; a field that can't be read is left out."""
    counted: dict[str, dict[str, int]] = {}
    for name, slots in answer.items():
        try:
            entry_id, outcome = name.decode().rsplit("|", 1)
            number = int(float(slots))
        except (ValueError, OverflowError):  # OverflowError: it is infinite
            continue
        counted.setdefault(entry_id, {})[outcome] = number
    return counted


def cron_history(connection: Redis, entry_ids: Iterable[str], *, last: int) -> dict[str, list[SlotRecord]]:
    """The last slots of each entry, the newest first, in one round trip; what can't be read is left out."""
    ids = list(entry_ids)
    with connection.pipeline(transaction=False) as pipe:
        for entry_id in ids:
            pipe.lrange(_CRON_HISTORY + entry_id, 0, last - 1)
        answers = pipe.execute(raise_on_error=False)
    for number, answer in enumerate(answers):
        if isinstance(answer, ResponseError):
            if refusal(answer):
                raise answer
            answers[number] = []  # a history that is no list costs itself alone
    return {
        id_: [record for record in map(_record, answer) if record is not None]
        for id_, answer in zip(ids, answers, strict=True)
    }


def forget_cron(pipe: Any, entry_ids: Iterable[bytes]) -> None:
    """Delete the records of entries that are no more."""
    for id_ in entry_ids:
        pipe.hdel(OUTCOMES, *(id_ + b"|" + outcome for outcome in (b"ran", b"late", b"missed", b"skipped")))
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
    # No other zone may take the first or the last year out of the calendar; JSON has no infinity.
    is_time = _FIRST_YEAR <= record.slot.year <= _LAST_YEAR
    return record if is_time and math.isfinite(record.lateness_seconds or 0.0) else None
