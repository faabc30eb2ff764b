"""Takes a snapshot of a Redis server in three round trips, whatever the number of queues and workers.

The first lists the queues and workers and reads what exists only once. The second sends the same few commands
for each queue and worker. The third looks closer at what the second found.
"""

import itertools
from types import MappingProxyType

from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.worker import BaseWorker

from rqmon.exporter.reading import first_trip, queues, unaccounted, workers
from rqmon.exporter.reading.pipeline import RoundTrips, Waited, pack
from rqmon.exporter.reading.problems import Problems
from rqmon.exporter.reading.snapshot import Snapshot
from scheduler.ledger.reading import largest

# A scrape asks about this many of RQ's queues, and shows this many: those with the most jobs.
MAX_QUEUES_ASKED = 20_000
MAX_QUEUES = 5_000


def take(
    client: Redis,
    *,
    queue_class: type[Queue] = Queue,
    worker_class: type[BaseWorker] = Worker,
    seconds: float = 10.0,
    waited: Waited | None = None,
) -> Snapshot:
    """Read the server, waiting for it at most so many seconds; `waited` records each wait.

    Raises:
        redis.RedisError: It does not answer, or refuses, for example while it loads its data.
        OldRedisError: It is too old.
    """
    problems = Problems()
    with RoundTrips(client, seconds=seconds, waited=waited) as trips:
        first = first_trip.read(trips, queue_class, worker_class, problems)
        prefix = queue_class.redis_queue_namespace_prefix
        worker_prefix = worker_class.redis_worker_namespace_prefix
        asked = dict(itertools.islice(first.queues.items(), MAX_QUEUES_ASKED))
        jobs = Job.redis_job_namespace_prefix.encode()
        # Not the keys next to a job's own, such as its dependents'.
        sampled = [key for key in first.sampled if b":" not in key.removeprefix(jobs)]

        second = trips.ask(
            [
                *(queues.count_commands(prefix, raw) for raw in asked.values()),
                *(workers.commands(worker_prefix, raw) for raw in first.workers.values()),
                *(pack("HMGET", key, "status", "origin", "enqueued_at") for key in sampled),
            ],
            answers=queues.COUNT_ANSWERS * len(asked) + workers.ANSWERS * len(first.workers) + len(sampled),
        )
        counted = [
            queues.counted(
                name,
                raw,
                list(itertools.islice(second, queues.COUNT_ANSWERS)),
                problems,
                now=first.taken_at,
            )
            for name, raw in asked.items()
        ]
        found = [workers.state(name, second, problems) for name in first.workers]
        lengths = {queue.raw: queue.jobs.get("queued", 0) for queue in counted}
        searches = [
            unaccounted.sampled(key, next(second), now=first.taken_at, prefix=prefix, lengths=lengths)
            for key in sampled
        ]
        sought = [search for search in searches if search is not None]
        if len(counted) > MAX_QUEUES:
            sizes = {queue.raw: sum(queue.jobs.values(), queue.canceled or 0) for queue in counted}
            kept = largest(sizes, MAX_QUEUES)
            counted = [queue for queue in counted if queue.raw in kept]

        commands = [
            command for queue in counted for command in queues.look_commands(queue, now=first.taken_at)
        ]
        commands += [command for search in sought for command in search.commands]
        third = trips.ask(commands, answers=len(commands))
        states = [queues.state(queue, third, problems, now=first.taken_at) for queue in counted]
        lost = [search.lost([next(third) for _ in search.commands]) for search in sought]
    return Snapshot(
        taken_at=first.taken_at,
        suspended=first.suspended,
        queues=tuple(states),
        workers=tuple(worker for worker in found if worker is not None),
        jobs=first.jobs,
        cron=first.cron,
        rate_limits=first.rate_limits,
        info=first.info,
        sampled=len(sought),
        unaccounted=sum(lost),
        refusing=MappingProxyType(problems.refusing),
        refused=tuple(problems.refused),
        unreadable=tuple(problems.unreadable),
        left_out=MappingProxyType({**first.left_out, "queues": len(first.queues) - len(states)}),
    )
