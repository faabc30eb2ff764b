"""What a server has only once, read in the first round trip of a snapshot."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hiredis
from redis.exceptions import ResponseError
from rq import Queue
from rq.job import Job
from rq.suspension import WORKERS_SUSPENDED
from rq.worker import BaseWorker

from rqmon.exporter.reading import cron, info
from rqmon.exporter.reading.pipeline import RoundTrips, pack, pairs
from rqmon.exporter.reading.problems import Problems, refusal_code
from rqmon.exporter.reading.registries import shown
from rqmon.exporter.reading.snapshot import CronState, ServerInfo
from scheduler.connections.server_version import old_redis
from scheduler.cron import heartbeats
from scheduler.cron.store import overview
from scheduler.ledger import cron as cron_counts
from scheduler.ledger import job_counts, rate_limits
from scheduler.ledger.job_counts import JobCounts
from scheduler.ledger.rate_limits import RateLimitCounts

_SAMPLE = 100
# Nobody writes this key, so LPUSHX changes nothing; but Redis answers as it answers every write.
_PROBE = "rqmon:exporter:probe"


@dataclass(frozen=True, slots=True)
class FirstTrip:
    """The answers; for queues and workers, the raw ends of their keys by the shown names.

    `sampled` has keys of jobs and of things stored next to jobs; `taken_at` is the server's clock.
    """

    taken_at: float
    suspended: bool
    queues: Mapping[str, bytes]
    workers: Mapping[str, bytes]
    jobs: JobCounts
    cron: CronState
    rate_limits: RateLimitCounts
    info: ServerInfo
    sampled: tuple[bytes, ...]
    left_out: Mapping[str, int]


def read(
    trips: RoundTrips, queue_class: type[Queue], worker_class: type[BaseWorker], problems: Problems
) -> FirstTrip:
    """Ask the server, and read its answers.

    Raises:
        redis.RedisError: The server does not answer, or refuses what every reading needs.
        OldRedisError: The server is too old.
    """
    answers = _answers(trips, queue_class, worker_class)
    for name in ("time", "queues", "workers"):
        answer = answers[name]
        # A loading server, or a replica that lost its primary, still answers some commands.
        if isinstance(answer, hiredis.ReplyError) and (name == "time" or refusal_code(answer)):
            raise ResponseError(str(answer))
    newest = answers["newest"]
    if isinstance(newest, hiredis.ReplyError) and (too_old := old_redis(newest)):
        raise too_old
    problems.write_answered(answers["probe"])

    def answer_to(name: str) -> Any:
        """Return the answer; None if it was an error, which is noted."""
        if isinstance(answers[name], hiredis.ReplyError):
            problems.failed(name, answers[name])
            return None
        return answers[name]

    def answers_to(commands: Mapping[str, Any]) -> list[dict[bytes, Any]]:
        return [pairs(answer_to(name)) for name in commands]

    seconds, microseconds = answers["time"]
    now = int(seconds) + int(microseconds) / 1e6
    suspended = bool(answer_to("suspended"))
    jobs = job_counts.parse(*answers_to(job_counts.COMMANDS))
    limits = rate_limits.parse(*answers_to(rate_limits.COMMANDS))
    # A user may be restricted to keys and safe commands: lacking the right to INFO is not an error.
    may_ask_info = refusal_code(answers["info"]) != "NOPERM"
    server_info, odd_info = info.parse(answer_to("info") or b"" if may_ask_info else b"")
    entries = overview.parse(*answers_to(overview.COMMANDS))
    counts = cron_counts.parse(*answers_to(cron_counts.COMMANDS))
    seen = heartbeats.parse(*answers_to(heartbeats.COMMANDS), now=now)
    cron_state, entries_left_out = cron.state(entries, counts, seen, now=now)
    problems.cant_read(
        *(*jobs.unreadable, *limits.unreadable, *odd_info, *entries.unreadable, *counts.unreadable),
        *(f"cron process {name.encode()!r}" for name in seen.unreadable),
    )
    return FirstTrip(
        taken_at=now,
        suspended=suspended,
        queues=_names("queues", answer_to("queues"), queue_class.redis_queue_namespace_prefix, problems),
        workers=_names("workers", answer_to("workers"), worker_class.redis_worker_namespace_prefix, problems),
        jobs=jobs,
        cron=cron_state,
        rate_limits=limits,
        info=server_info,
        sampled=tuple((answer_to("sample") or [b"0", []])[1]),
        left_out={**jobs.left_out, "resources": limits.left_out, "entries": entries_left_out},
    )


def _answers(trips: RoundTrips, queue_class: type[Queue], worker_class: type[BaseWorker]) -> dict[str, Any]:
    cursor = random.getrandbits(32)  # any cursor is valid: a part of the keyspace
    commands: dict[str, tuple[str | int, ...]] = {
        "time": ("TIME",),
        "queues": ("SMEMBERS", queue_class.redis_queues_keys),
        "workers": ("SMEMBERS", worker_class.redis_workers_keys),
        "suspended": ("EXISTS", WORKERS_SUSPENDED),
        **job_counts.COMMANDS,
        **rate_limits.COMMANDS,
        **overview.COMMANDS,
        **cron_counts.COMMANDS,
        **heartbeats.COMMANDS,
        "info": ("INFO",),
        "newest": ("ZMSCORE", _PROBE, ""),
        "probe": ("LPUSHX", _PROBE, ""),
        "sample": ("SCAN", cursor, "MATCH", f"{Job.redis_job_namespace_prefix}*", "COUNT", _SAMPLE),
    }
    answers = trips.ask([pack(*command) for command in commands.values()], answers=len(commands))
    return dict(zip(commands, answers, strict=True))


def _names(what: str, keys: list[bytes] | None, prefix: str, problems: Problems) -> dict[str, bytes]:
    """Return the ends of keys by shown name; keys without the prefix or with an equal name are noted."""
    names: dict[str, bytes] = {}
    start = prefix.encode()
    for key in sorted(keys or []):
        raw = key.removeprefix(start)
        label = shown(raw)
        if raw == key or label in names:
            problems.cant_read(f"{what} {key!r}")
        else:
            names[label] = raw
    return names
