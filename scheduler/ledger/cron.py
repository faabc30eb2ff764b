"""What became of cron slots: counts by entry and outcome, and the last slots of each entry."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis

OUTCOMES = "rqmon:ledger:cron:outcomes"  # hash: "<entry id>|<outcome>" -> slots
LAST = "rqmon:ledger:cron:last"  # hash: entry id -> its last slot that got a job, in Unix seconds
LATENESS = "rqmon:ledger:cron:lateness"  # hash: upper bound of a bucket -> slots, and "sum" -> seconds
_CRON_HISTORY = "rqmon:ledger:cron:history:"  # list an entry: JSON a slot, the newest first
_CRON_HISTORY_KEPT = 100

# Counts slots whose jobs were queued. It runs in the transaction that queues them and asks the server for
# the time then: a process that is stopped just before the transaction must not call a late slot punctual.
_COUNT_QUEUED = """
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end
local bounds = cjson.decode(ARGV[2])
local lateness = {}
for i = 3, #ARGV, 4 do
  local id, slot, late_after, job = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), ARGV[i + 3]
  local behind = now - slot
  local outcome = behind > late_after and 'late' or 'ran'
  redis.call('HINCRBY', KEYS[1], id .. '|' .. outcome, 1)
  redis.call('HSET', KEYS[4], id, slot)
  local le = '+Inf'
  for _, bound in ipairs(bounds) do
    if behind <= bound then le = string.format('%g', bound) break end
  end
  redis.call('HINCRBY', KEYS[5], le, 1)
  redis.call('HINCRBYFLOAT', KEYS[5], 'sum', behind)
  local history = KEYS[2] .. id
  redis.call('LPUSH', history, cjson.encode({slot = slot, outcome = outcome, lateness = behind, job = job}))
  redis.call('LTRIM', history, 0, KEYS[3] - 1)
  lateness[#lateness + 1] = tostring(behind)
end
return lateness
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

    Args:
        pipe: The transaction that queues their jobs.
        slots: The slots.
        now: The time lateness is measured at; None is the server's.
        bounds: Upper bounds of the lateness histogram's buckets, in seconds.
    """
    arguments: list[str | float] = [now.timestamp() if now else 0, json.dumps(bounds)]
    for slot in slots:
        arguments += [slot.entry_id, slot.slot.timestamp(), slot.late_after_seconds, slot.job_id]
    script = pipe.register_script(_COUNT_QUEUED)
    script(keys=[OUTCOMES, _CRON_HISTORY, _CRON_HISTORY_KEPT, LAST, LATENESS], args=arguments, client=pipe)


def count_dropped_slots(pipe: Any, entry_id: str, outcome: str, *, slots: list[datetime], total: int) -> None:
    """Count `total` slots that got no job, of which `slots` are the last."""
    if not total:
        return
    pipe.hincrby(OUTCOMES, f"{entry_id}|{outcome}", total)
    if slots:
        records = [json.dumps({"slot": slot.timestamp(), "outcome": outcome}) for slot in slots]
        pipe.lpush(_CRON_HISTORY + entry_id, *records)
        pipe.ltrim(_CRON_HISTORY + entry_id, 0, _CRON_HISTORY_KEPT - 1)


def cron_outcomes(connection: Redis) -> Mapping[str, Mapping[str, int]]:
    """How many slots of each entry ended how: `{entry id: {outcome: slots}}`, in one round trip."""
    answer: Any = connection.hgetall(OUTCOMES)
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
    """The last slots of each entry, the newest first, in one round trip."""
    ids = list(entry_ids)
    with connection.pipeline(transaction=False) as pipe:
        for entry_id in ids:
            pipe.lrange(_CRON_HISTORY + entry_id, 0, last - 1)
        answers = pipe.execute()
    return {
        id_: [_record(json.loads(item)) for item in answer] for id_, answer in zip(ids, answers, strict=True)
    }


def forget_cron(pipe: Any, entry_ids: Iterable[str]) -> None:
    """Delete the records of entries that are no more."""
    for entry_id in entry_ids:
        pipe.hdel(OUTCOMES, *(f"{entry_id}|{outcome}" for outcome in ("ran", "late", "missed", "skipped")))
        pipe.hdel(LAST, entry_id)
        pipe.delete(_CRON_HISTORY + entry_id)


def _record(item: dict[str, Any]) -> SlotRecord:
    return SlotRecord(
        slot=datetime.fromtimestamp(item["slot"], UTC),
        outcome=item["outcome"],
        lateness_seconds=item.get("lateness"),
        job_id=item.get("job"),
    )
