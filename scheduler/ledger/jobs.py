"""What became of jobs: each execution counted once, by queue, function and outcome, with its times.

An execution is noted when it starts and is counted when its note is taken away, so repeating either
changes nothing, and one that RQ gave up on is found by its note.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from redis import Redis

from scheduler.serializers import UNKNOWN, storable

# Hash: "<job id>:<execution id>" -> JSON: queue, and once it is known function, wait and wait_le.
RUNNING = "rqmon:ledger:jobs:running"
COUNTS = "rqmon:ledger:jobs:counts"  # hash: "<kind>|<detail>|<function>|<queue>" -> number
# Sets: the names, and the pairs of names, that are told apart; further ones are counted as OTHER.
_FUNCTIONS = "rqmon:ledger:jobs:functions"
_EXCEPTIONS = "rqmon:ledger:jobs:exceptions"
_QUEUES = "rqmon:ledger:jobs:queues"
_PAIRS = "rqmon:ledger:jobs:pairs"  # "<function>|<queue>"
_FAILURES = "rqmon:ledger:jobs:failures"  # "<exception>|<queue>"
MAX_NAMES = 500
MAX_PAIRS = 1000  # with those of `other`, 1,501 at most: a page of 6.5 MB, read and written in 0.5 to 0.9 s
OTHER = "other"
_REAP_BATCH = 500
# What RQ gives to the callbacks of a job whose worker died.
_DEAD_WORKER = "rq.exceptions.AbandonedJobError"

# In Lua, because counting hangs on whether the note was there. Always as text: a script's hash is unknown
# to a server that was restarted, and then RQ's transaction would go through without the count.
_DETAILS = """
local note = redis.call('HGET', KEYS[1], ARGV[1])
if note then
  local execution = cjson.decode(note)
  for i = 2, #ARGV, 2 do execution[ARGV[i]] = ARGV[i + 1] end
  redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(execution))
end
"""
_TOLD_APART = (
    """
local function told_apart(names, name, most)
  if redis.call('SISMEMBER', names, name) == 1 then return name end
  if redis.call('SCARD', names) >= (most or MAX_NAMES) then return 'OTHER' end
  redis.call('SADD', names, name)
  return name
end
local function told_apart_in(pairs, names, name, queue)
  name = told_apart(names, name)
  if name == 'OTHER' or told_apart(pairs, name .. '|' .. queue, MAX_PAIRS) == 'OTHER' then return 'OTHER' end
  return name
end
""".replace("MAX_NAMES", str(MAX_NAMES))
    .replace("MAX_PAIRS", str(MAX_PAIRS))
    .replace("OTHER", OTHER)
)
_FINISH = (
    _TOLD_APART
    + """
local function finish(token, note, outcome, run, run_le, exception, again)
  local execution = cjson.decode(note)
  redis.call('HDEL', KEYS[1], token)
  local queue = told_apart(KEYS[5], execution.queue)
  local name = told_apart_in(KEYS[6], KEYS[3], execution['function'] or 'UNKNOWN', queue)
  local where = '|' .. name .. '|' .. queue
  redis.call('HINCRBY', KEYS[2], 'outcome|' .. outcome .. where, 1)
  if execution.wait then
    redis.call('HINCRBY', KEYS[2], 'wait|' .. execution.wait_le .. where, 1)
    redis.call('HINCRBYFLOAT', KEYS[2], 'wait_sum|' .. where, execution.wait)
  end
  if run ~= '' then
    redis.call('HINCRBY', KEYS[2], 'run|' .. run_le .. where, 1)
    redis.call('HINCRBYFLOAT', KEYS[2], 'run_sum|' .. where, run)
  end
  if exception ~= '' then
    local raised = told_apart_in(KEYS[7], KEYS[4], exception, queue)
    redis.call('HINCRBY', KEYS[2], 'failure|' .. raised .. '||' .. queue, 1)
  end
  if again then redis.call('HINCRBY', KEYS[2], 'retry|||' .. queue, 1) end
end
""".replace("UNKNOWN", UNKNOWN)
)
_END = (
    _FINISH
    + """
local note = redis.call('HGET', KEYS[1], ARGV[1])
if note then finish(ARGV[1], note, ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1') end
"""
)
# RQ takes an execution out of its queue's registry when it gives it up; also when its job is canceled, but
# then its worker still says that it lives. A job that was left in the intermediate queue, too, as its worker
# died at once, would be found there and counted again.
_REAP = (
    _FINISH
    + """
local reaped = 0
for i = 3, #ARGV do
  local note = redis.call('HGET', KEYS[1], ARGV[i])
  local queue = note and cjson.decode(note).queue
  if note and not redis.call('ZSCORE', 'rq:wip:' .. queue, ARGV[i])
      and redis.call('EXISTS', 'rq:execution:' .. ARGV[i]) == 0 then
    local job = string.match(ARGV[i], '(.*):')
    local status = redis.call('HGET', 'rq:job:' .. job, 'status')
    redis.call('LREM', 'rq:queue:' .. queue .. ':intermediate', 1, job)
    finish(ARGV[i], note, ARGV[1], '', '', ARGV[2], status == 'queued' or status == 'scheduled')
    reaped = reaped + 1
  end
end
return reaped
"""
)
_UNSTARTED = (
    _FINISH
    + """
for _, token in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.match(token, '(.*):') == ARGV[1] then
    return finish(token, redis.call('HGET', KEYS[1], token), ARGV[2], '', '', '')
  end
end
redis.call('HINCRBY', KEYS[2], 'outcome|' .. ARGV[2] .. '|UNKNOWN|' .. told_apart(KEYS[5], ARGV[3]), 1)
""".replace("UNKNOWN", UNKNOWN)
)
_HORSE_KILLED = (
    _TOLD_APART + "redis.call('HINCRBY', KEYS[1], 'horse_killed|||' .. told_apart(KEYS[2], ARGV[1]), 1)"
)
_KEYS = (RUNNING, COUNTS, _FUNCTIONS, _EXCEPTIONS, _QUEUES, _PAIRS, _FAILURES)


class JobOutcome(StrEnum):
    """How an execution ended; each has exactly one."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # for good: no retry was left
    RETRIED = "retried"  # raised, or returned a Retry, and will run again
    STOPPED = "stopped"  # a person stopped it
    ABANDONED = "abandoned"  # its process or its worker died; RQ fails it, or runs it again
    RATE_LIMITED = "rate_limited"  # raised TooManyRequests, whether it will run again or not


@dataclass(slots=True)
class Histogram:
    """Observations by the upper bound of their bucket, not cumulative, and their sum in seconds."""

    buckets: dict[float, int] = field(default_factory=dict)
    sum_seconds: float = 0.0

    def add(self, le: str, number: int) -> None:
        """Add to a bucket; 60 and 60.0 are the same one.

        Raises:
            ValueError: `le` is no upper bound.
        """
        bound = float(le)
        if not bound >= 0:  # nor is nan
            raise ValueError(f"{le} is no upper bound")
        self.buckets[bound] = self.buckets.get(bound, 0) + number


@dataclass(frozen=True, slots=True)
class JobCounts:
    """The whole record: outcomes by (queue, function, outcome), failures by (queue, exception), and times.

    Retries are executions after which the job runs again, and like killed horses by queue. The histograms
    are by (queue, function). An execution that was abandoned with its worker has a wait and no run time; one
    that was abandoned before it was loaded has neither. The fields in `unreadable` are in nothing else.
    """

    outcomes: dict[tuple[str, str, str], int] = field(default_factory=dict)
    failures: dict[tuple[str, str], int] = field(default_factory=dict)
    retries: dict[str, int] = field(default_factory=dict)
    horses_killed: dict[str, int] = field(default_factory=dict)
    wait: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    run: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    unreadable: list[bytes] = field(default_factory=list)


def details(*, function: str, wait_seconds: float, bounds: tuple[float, ...]) -> dict[str, str]:
    """What only the process that loads a job knows, as it stands in the note."""
    return {
        "function": _name(function),
        "wait": f"{wait_seconds:.6f}",
        "wait_le": bucket(wait_seconds, bounds),
    }


def note_start(pipe: Any, token: str, *, queue: str, details: Mapping[str, str]) -> None:
    """Note that an execution begins; `token` is `<job id>:<execution id>`, its member in RQ's registry."""
    pipe.hset(RUNNING, token, json.dumps({"queue": queue, **details}))


def note_details(pipe: Any, token: str, details: Mapping[str, str]) -> None:
    """Add to the note what was not known when the execution began."""
    pipe.eval(_DETAILS, 1, RUNNING, token, *(part for item in details.items() for part in item))


def count_end(
    pipe: Any,
    token: str,
    outcome: JobOutcome,
    *,
    run_seconds: float | None,
    bounds: tuple[float, ...],
    exception: str | None,
    runs_again: bool,
) -> None:
    """Count an execution and take its note away; nothing happens when it is gone: it was counted.

    Args:
        pipe: The transaction in which RQ ends the execution.
        token: `<job id>:<execution id>`.
        outcome: How it ended.
        run_seconds: Its run time where it is known.
        bounds: Upper bounds of the histogram's buckets, in seconds.
        exception: The class it ended with, never its text.
        runs_again: Whether its job is to run again.
    """
    run = ("", "") if run_seconds is None else (f"{run_seconds:.6f}", bucket(run_seconds, bounds))
    pipe.eval(_END, len(_KEYS), *_KEYS, token, outcome, *run, _name(exception or ""), int(runs_again))


def is_running(connection: Redis, token: str) -> bool:
    """Whether an execution was noted and not counted: neither it nor anybody else has ended it."""
    client: Any = connection
    return bool(client.hexists(RUNNING, token))


def forget(pipe: Any, token: str) -> None:
    """Take away the note of an execution that never began."""
    pipe.hdel(RUNNING, token)


def count_abandoned(pipe: Any, token: str, *, runs_again: bool) -> None:
    """Count an execution whose worker died; how long it ran is unknown."""
    pipe.eval(_END, len(_KEYS), *_KEYS, token, JobOutcome.ABANDONED, "", "", _DEAD_WORKER, int(runs_again))


def count_unstarted(pipe: Any, job_id: str, *, queue: str) -> None:
    """Count a job that was lost between its queue and its start; it may have been noted in between."""
    pipe.eval(_UNSTARTED, len(_KEYS), *_KEYS, job_id, JobOutcome.ABANDONED, queue)


def count_horse_killed(connection: Any, *, queue: str) -> None:
    """Count a process that died while it ran a job."""
    connection.eval(_HORSE_KILLED, 2, COUNTS, _QUEUES, queue)


def reap(connection: Redis) -> int:
    """Count the executions that RQ, in whichever process, gave up on; how many there were."""
    client: Any = connection
    tokens = client.hkeys(RUNNING)
    return sum(
        client.eval(
            _REAP,
            len(_KEYS),
            *_KEYS,
            JobOutcome.ABANDONED,
            _DEAD_WORKER,
            *tokens[start : start + _REAP_BATCH],
        )
        for start in range(0, len(tokens), _REAP_BATCH)
    )


def _name(text: str) -> str:
    return storable(text.replace("|", "_")[:200])


def bucket(seconds: float, bounds: tuple[float, ...]) -> str:
    """The label of the bucket that an observation falls into: its upper bound."""
    index = bisect_left(bounds, seconds)
    return f"{bounds[index]:g}" if index < len(bounds) else "+Inf"


def parse(counts: Mapping[bytes, bytes]) -> JobCounts:
    """The record from the hash COUNTS; a field that can't be read costs nothing else."""
    found = JobCounts()
    for name, value in counts.items():
        try:
            kind, detail, function, queue = name.decode().split("|", 3)
            _add(found, kind, detail, function, queue, number=float(value))
        except (ValueError, OverflowError):  # OverflowError: it is infinite
            found.unreadable.append(name)
    return found


def _add(found: JobCounts, kind: str, detail: str, function: str, queue: str, *, number: float) -> None:
    where, whole = (queue, function), int(number)
    histograms = {"wait": found.wait, "run": found.run}.get(kind.removesuffix("_sum"))
    if kind == "outcome":
        found.outcomes[(queue, function, JobOutcome(detail))] = whole
    elif kind == "failure":
        found.failures[(queue, detail)] = whole
    elif kind == "retry":
        found.retries[queue] = whole
    elif kind == "horse_killed":
        found.horses_killed[queue] = whole
    elif histograms is None:
        raise ValueError(f"{kind} is not counted")
    else:
        histogram = histograms.get(where, Histogram())
        if kind.endswith("_sum"):
            histogram.sum_seconds = number
        else:
            histogram.add(detail, whole)
        histograms[where] = histogram


def read(connection: Redis) -> JobCounts:
    """The record, in one round trip."""
    client: Any = connection
    return parse(client.hgetall(COUNTS))
