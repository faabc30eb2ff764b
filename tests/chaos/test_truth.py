"""Compares the ledger with what the jobs themselves wrote down, while processes and the server are killed."""

import contextlib
import json
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation
from rq.suspension import resume, suspend

from scheduler.ledger import jobs as ledger
from tests import truth_jobs
from tests.chaos.fleet import Fleet
from tests.servers import free_port, wait_for

RECORDING_WORKER = "scheduler.workers.RecordingWorker"
JOBS, WORKERS, QUEUES = 2000, 3, ("short", "long")
# How many jobs of each kind there are.
KINDS = {"succeed": 1400, "forget": 200, "fail": 150, "retry": 120, "refuse": 60, "die": 30, "time_out": 20}
KINDS |= {"stop": 12, "die_with_worker": 8}


class WorkerFleet(Fleet):
    """Workers and an exporter; each is restarted when it has ended."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.exporter: subprocess.Popen | None = None
        self.workers: list[subprocess.Popen] = []

    def worker(self, option: str) -> subprocess.Popen:
        rq = ("-m", "rq.cli", "worker", "--url", self.url, "--worker-class", RECORDING_WORKER, option)
        return self.spawn(*rq, *QUEUES, TRUTH_FILE=str(self.folder / "truth"))

    def keep_running(self) -> None:
        alive = [worker for worker in self.workers if worker.poll() is None]
        self.workers = alive + [self.worker("--with-scheduler") for _ in range(WORKERS - len(alive))]
        if self.exporter is None or self.exporter.poll() is not None:
            self.exporter = self.spawn("-m", "rqmon.exporter", "--port", str(free_port()))


@pytest.fixture
def fleet(tmp_path):
    fleet = WorkerFleet(tmp_path)
    yield fleet
    fleet.close()


def enqueue(connection: Redis, rng: random.Random) -> None:
    kinds = [kind for kind, number in KINDS.items() for _ in range(number)]
    assert len(kinds) == JOBS
    rng.shuffle(kinds)
    queues = {name: Queue(name, connection=connection) for name in QUEUES}
    with connection.pipeline() as pipe:
        for kind in kinds:
            options = {
                "retry": {"retry": Retry(max=2)},
                "forget": {"result_ttl": 1},
                "time_out": {"job_timeout": 1},
            }.get(kind, {})
            queues[rng.choice(QUEUES)].enqueue(getattr(truth_jobs, kind), pipeline=pipe, **options)
        pipe.execute()


def written(path: Path) -> Counter:
    """Count what the jobs wrote down by queue, function and outcome."""
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(tuple(json.loads(line)) for line in lines)


def stop_what_waits_to_be_stopped(connection: Redis) -> None:
    """Stop the jobs that wrote down that they wait for it; repeat it if a worker missed the command."""
    for id_ in connection.lrange("truth:to-stop", 0, -1):
        if connection.hget(f"rq:job:{id_.decode()}", "status") != b"started":
            connection.lrem("truth:to-stop", 1, id_)
        elif connection.set(f"truth:told-to-stop:{id_.decode()}", 1, nx=True, ex=3):
            with contextlib.suppress(InvalidJobOperation):  # the job has just ended
                send_stop_job_command(connection, id_.decode())


def expire_what_died(connection: Redis) -> None:
    """Make dead workers' executions look old enough to be given up."""
    for queue in QUEUES:
        for member in connection.zrange(f"rq:wip:{queue}", 0, -1):
            if connection.sismember("truth:dead", member.split(b":")[0]):
                connection.zadd(f"rq:wip:{queue}", {member: 1}, xx=True)
                connection.delete(f"rq:execution:{member.decode()}")
        for member in connection.lrange(f"rq:queue:{queue}:intermediate", 0, -1):
            connection.set(f"rq:queue:{queue}:intermediate:first_seen:{member.decode()}", 1)


def restart_between_jobs(fleet: WorkerFleet) -> None:
    """SIGKILL the server while no job is running.

    RQ can't know how a running job ended: its work is done but not written, or it was taken from its queue
    and never reached the worker. So no record could be right.
    """
    connection = fleet.redis
    suspend(connection)
    quiet_since = time.monotonic()

    def quiet() -> bool:
        nonlocal quiet_since
        if not idle(connection):
            quiet_since = time.monotonic()
        return time.monotonic() - quiet_since > 1

    wait_for(quiet, seconds=60, what="no job under way")
    fleet.restart_valkey()
    resume(fleet.redis)


def idle(connection: Redis) -> bool:
    """Whether no job is running, except those whose worker is dead."""
    stop_what_waits_to_be_stopped(connection)
    dead = connection.smembers("truth:dead")
    return all(note.split(b":")[0] in dead for note in connection.hkeys(ledger.RUNNING))


def settled(fleet: WorkerFleet) -> bool:
    connection = fleet.redis
    fleet.keep_running()
    waiting = sum(connection.llen(f"rq:queue:{queue}") for queue in QUEUES)
    died = connection.scard("truth:dead")
    return idle(connection) and waiting == 0 and died == KINDS["die_with_worker"]


def test_the_ledger_equals_what_the_jobs_wrote_down(fleet, record_property):
    rng = random.Random(11)
    connection = fleet.redis
    enqueue(connection, rng)
    fleet.keep_running()
    restarts, faults = 3, Counter()
    next_fault = time.monotonic() + 2

    def step() -> bool:
        nonlocal next_fault, restarts
        try:
            if time.monotonic() > next_fault:
                next_fault = time.monotonic() + 3
                fleet.exporter.kill()
                faults["exporter killed"] += 1
                if restarts:
                    restarts -= 1
                    restart_between_jobs(fleet)
                    faults["valkey killed"] += 1
            return settled(fleet)
        except RedisError:
            return False

    wait_for(step, seconds=480, what="the end of all jobs")
    expire_what_died(connection)
    for worker in fleet.workers:
        worker.send_signal(signal.SIGTERM)
    for worker in fleet.workers:
        worker.wait(30)
    for _ in range(2):  # the first cleans up, the second looks again
        fleet.worker("--burst").wait(60)
    truth = written(fleet.folder / "truth")
    counted = ledger.read(connection).outcomes
    assert counted == dict(truth)
    assert connection.hlen(ledger.RUNNING) == 0
    assert {outcome for _, _, outcome in truth} == {
        *("succeeded", "failed", "retried", "stopped", "abandoned", "rate_limited")
    }
    assert faults["valkey killed"] == 3
    record_property("truth", json.dumps({"executions": sum(truth.values()), "faults": faults}))
