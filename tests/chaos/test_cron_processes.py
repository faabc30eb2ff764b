"""Real cron processes, killed and frozen at random, on a Valkey that is restarted."""

import json
import random
import signal
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime

import pytest
from rq.job import Job

from scheduler.cron.heartbeats import live_processes
from scheduler.cron.store.registry import CronRegistry
from scheduler.ledger import cron as ledger
from tests.chaos.fleet import Fleet
from tests.servers import wait_for

PROGRAM = """
from scheduler import CronProcess, job_scheduler
from scheduler.logs import configure
from tests.jobs import pid

def schedule_jobs():
    tick = dict(queue_name="q", interval_seconds=1, cron_id="tick", catch_up="all", late_after_seconds=1)
    job_scheduler(pid, **tick{options})

if __name__ == "__main__":
    configure()
    CronProcess(schedule_jobs).run()
"""


class CronFleet(Fleet):
    """The cron processes of a program."""

    def deploy(self, options: str) -> None:
        (self.folder / "crons.py").write_text(PROGRAM.format(options=options))

    def start(self) -> subprocess.Popen:
        return self.spawn(str(self.folder / "crons.py"))

    def jobs(self) -> Counter:
        """Return how many jobs each slot got."""
        ids = [id_.decode() for id_ in self.redis.lrange("rq:queue:q", 0, -1)]
        return Counter(job.meta["cron_slot"] for job in Job.fetch_many(ids, connection=self.redis))


@pytest.fixture
def fleet(tmp_path):
    fleet = CronFleet(tmp_path)
    fleet.deploy("")
    yield fleet
    fleet.close()


def assert_each_slot_has_one_job(fleet: CronFleet) -> dict:
    """Check that every slot from first to last has one job, in the ledger too; return the outcomes."""
    slots = fleet.jobs()
    seconds = sorted(int(datetime.fromisoformat(slot).timestamp()) for slot in slots)
    assert max(slots.values()) == 1
    assert seconds == list(range(seconds[0], seconds[-1] + 1))
    outcomes = ledger.cron_outcomes(fleet.redis)["tick"]
    assert sum(outcomes.values()) == len(slots) == outcomes.get("ran", 0) + outcomes.get("late", 0)
    return outcomes


def caught_up(fleet: CronFleet) -> bool:
    [state] = CronRegistry(fleet.redis).states()
    return state.next_slot > datetime.now(UTC)


def test_three_processes_killed_and_frozen_while_valkey_restarts(fleet, record_property):
    rng = random.Random(7)
    running = [fleet.start() for _ in range(3)]
    wait_for(lambda: len(fleet.jobs()) >= 2, what="the first slots")
    end = time.monotonic() + 60
    restarts = [end - 40, end - 20]
    faults = Counter()
    while time.monotonic() < end:
        if restarts and time.monotonic() > restarts[0]:
            restarts.pop(0)
            fleet.restart_valkey(down_seconds=3)
            faults["valkey restarted"] += 1
        victim = rng.randrange(3)
        if rng.random() < 0.5:
            running[victim].kill()
            running[victim].wait()
            running[victim] = fleet.start()
            faults["killed"] += 1
        else:
            running[victim].send_signal(signal.SIGSTOP)
            frozen_until = time.monotonic() + rng.uniform(0.1, 2.5)
            wait_for(lambda: time.monotonic() > frozen_until)  # noqa: B023 (called in this turn)
            running[victim].send_signal(signal.SIGCONT)
            faults["frozen"] += 1
    wait_for(lambda: caught_up(fleet), what="catching up")
    wait_for(lambda: all(b"cron_reconciled" in process.log.read_bytes() for process in running))
    for process in running:
        process.terminate()
    assert [process.wait(timeout=20) for process in running] == [0, 0, 0]
    outcomes = assert_each_slot_has_one_job(fleet)
    assert sum(outcomes.values()) >= 60
    assert outcomes["late"] >= 2  # the gap of each restart is reported
    assert faults["killed"] >= 5
    assert faults["frozen"] >= 5
    assert faults["valkey restarted"] == 2
    record_property("cron", json.dumps({"outcomes": dict(outcomes), "faults": faults}))


def test_a_flush_brings_the_entries_back_without_a_restart(fleet):
    process = fleet.start()
    wait_for(lambda: len(fleet.jobs()) >= 1)
    fleet.redis.flushall()
    started = time.monotonic()
    wait_for(lambda: CronRegistry(fleet.redis).count() == 1, what="the entry")
    wait_for(lambda: len(fleet.jobs()) >= 1, what="a job after the flush")
    assert time.monotonic() - started < 5
    assert process.poll() is None


def test_a_redeployment_a_second_loses_and_doubles_nothing(fleet):
    running = fleet.start()
    wait_for(lambda: len(fleet.jobs()) >= 1)
    for number in range(10):
        # The schedule stays: each deployment changes something else about the entry.
        fleet.deploy(f', description="deployment {number}"')
        new = fleet.start()
        wait_for(lambda: b"cron_reconciled" in new.log.read_bytes())  # noqa: B023 (called in this turn)
        running.terminate()
        assert running.wait(timeout=20) == 0
        running = new
        deployed = time.monotonic()
        wait_for(lambda: time.monotonic() - deployed > 1)  # noqa: B023 (called in this turn)
    wait_for(lambda: caught_up(fleet))
    running.terminate()
    running.wait(timeout=20)
    outcomes = assert_each_slot_has_one_job(fleet)
    assert sum(outcomes.values()) >= 10
    [state] = CronRegistry(fleet.redis).states()
    assert state.entry.description == "deployment 9"


def test_redis_going_away_is_logged_once_and_waited_out(fleet):
    process = fleet.start()
    wait_for(lambda: len(fleet.jobs()) >= 1)
    fleet.valkey.terminate()
    wait_for(lambda: b"redis_lost" in process.log.read_bytes())
    lost = time.monotonic()
    wait_for(lambda: time.monotonic() - lost > 3)
    fleet.start_valkey()
    wait_for(lambda: b"redis_back" in process.log.read_bytes(), what="coming back")
    assert process.log.read_bytes().count(b"redis_lost") == 1
    assert process.poll() is None
    wait_for(lambda: caught_up(fleet))
    assert_each_slot_has_one_job(fleet)


def test_live_processes_are_seen_and_dead_ones_are_not(fleet):
    process = fleet.start()
    wait_for(lambda: len(live_processes(fleet.redis)) == 1)
    [about] = live_processes(fleet.redis).values()
    assert about["pid"] == process.pid
    process.terminate()
    process.wait(timeout=20)
    assert live_processes(fleet.redis) == {}
