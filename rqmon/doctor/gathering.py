"""Reads what the doctor judges: the exporter's snapshot, and a few round trips of its own."""

import time
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from rqmon.crons.health import Health
from rqmon.doctor import job_facts as jobs
from rqmon.doctor import surroundings
from rqmon.doctor import worker_facts as workers
from rqmon.doctor.asking import ask
from rqmon.doctor.facts import CronFacts, Facts
from rqmon.exporter.reading import reader
from scheduler.cron.clock import from_answer
from scheduler.cron.store.registry import CronRegistry
from scheduler.ledger.cron import cron_history

# Redis is waited for so long in the snapshot; the other round trips have the client's own timeout.
_SNAPSHOT_SECONDS = 1.0
# A job is between its queue and its start for milliseconds. One that is there twice, so far apart, is stuck.
_BETWEEN_SECONDS = 0.25
_SLOTS = 5
_ENTRIES = 1_000


def take(connection: Redis, *, serializer: str) -> Facts:
    """Read everything, in a number of round trips that does not depend on how much there is.

    Args:
        connection: Of the redis_server.
        serializer: What `RQ_SERIALIZER` says.

    Raises:
        redis.RedisError: Redis does not answer, or refuses.
        OldRedisError: It is too old.
    """
    snapshot = reader.take(connection, seconds=_SNAPSHOT_SECONDS)
    unknown: list[str] = []
    asked_at = time.time()
    first = ask(connection, {("time",): ("TIME",), **surroundings.COMMANDS, **workers.COMMANDS})
    answered_at = time.time()
    offset = (
        (asked_at + answered_at) / 2 - from_answer(first["time",]).timestamp() if ("time",) in first else None
    )
    found_at = time.monotonic()
    names = surroundings.queue_names(first)
    queues = [(queue, names[queue.name]) for queue in snapshot.queues if queue.name in names]
    commands = {
        **surroundings.details(first),
        **workers.of_workers(first),
        **workers.of_queues(queues),
        **jobs.of_queues(queues),
    }
    second = ask(connection, commands)
    found_workers = workers.parse(second, now=snapshot.taken_at)
    third = ask(connection, jobs.of_jobs(second))
    between = jobs.between(second)
    if between:  # only then is it waited for
        time.sleep(max(0.0, _BETWEEN_SECONDS - (time.monotonic() - found_at)))
    fourth = ask(connection, {**jobs.of_dependencies(third), **jobs.of_data(third), **jobs.still(between)})
    if ("save",) not in first:
        unknown.append("whether Redis saves to disk: this user may not send CONFIG GET")
    info = surroundings.info(first)
    if not info:
        unknown.append("Redis' memory and version: this user may not send INFO")
    cron = None
    try:
        cron = _cron(connection)
    except RedisError as error:
        unknown.append(f"cron: {error}")
    return Facts(
        snapshot=snapshot,
        info=info,
        database=int(connection.connection_pool.connection_kwargs.get("db") or 0),
        serializer=serializer,
        clock_offset_seconds=offset,
        workers=found_workers,
        registered=workers.registered(second),
        with_scheduler=workers.with_scheduler(second),
        alive_until=jobs.alive_until(second),
        stuck_between=jobs.stuck(between, fourth),
        failed=jobs.failed(second, third),
        running=jobs.running(third),
        deferred=jobs.deferred(third, fourth),
        cron=cron,
        limits=surroundings.limits(second),
        formats=jobs.formats(fourth),
        other_prefixes=surroundings.other_prefixes(second),
        rdb_saves=surroundings.rdb_saves(first),
        unknown=tuple(unknown),
    )


def _cron(connection: Any) -> CronFacts:
    listing = CronRegistry(connection).listing()
    ids = [state.entry.id for state in listing.states[:_ENTRIES]]
    history = cron_history(connection, ids, last=_SLOTS)
    return CronFacts(
        listing=listing,
        health=Health.of(connection, listing),
        history={id_: tuple(slots) for id_, slots in history.items()},
    )
