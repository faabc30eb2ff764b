"""Real cron processes with a Redis that refuses, loses keys, or grants few rights."""

import json
import subprocess

import pytest

from scheduler import job_scheduler
from scheduler.cron.heartbeats import live_processes
from scheduler.cron.store.registry import DATA, EPOCH, NEXT, SPECS, CronRegistry
from scheduler.ledger import cron as ledger
from tests.chaos.fleet import Fleet
from tests.jobs import pid
from tests.redis_rights import RIGHTS
from tests.servers import wait_for

PROGRAM = """
import os, socket, sys
from scheduler import CronProcess, job_scheduler
from scheduler.logs import configure
from tests.jobs import pid

if "same" in sys.argv:
    socket.gethostname, os.getpid = lambda: "container", lambda: 1

def schedule_jobs():
    if "idle" in sys.argv:
        job_scheduler(pid, queue_name="q", cron="0 0 1 1 *", cron_id="yearly")
        return
    job_scheduler(pid, queue_name="q", interval_seconds=1, cron_id="tick")
    job_scheduler(pid, queue_name="q", interval_seconds=1, cron_id="skip", overlap="skip")

configure()
CronProcess(schedule_jobs, version="1").run()
"""


class CronFleet(Fleet):
    """The cron processes of a program."""

    def start(self, *args: str, **variables: str) -> subprocess.Popen:
        (self.folder / "crons.py").write_text(PROGRAM)
        return self.spawn(str(self.folder / "crons.py"), *args, **variables)

    def ran(self) -> int:
        outcomes = ledger.cron_outcomes(self.redis).get("tick", {})
        return outcomes.get("ran", 0) + outcomes.get("late", 0)

    def wait_for_slots(self, more: int = 2) -> None:
        before = self.ran()
        wait_for(lambda: self.ran() >= before + more, what="slots")


@pytest.fixture
def fleet(tmp_path):
    fleet = CronFleet(tmp_path)
    yield fleet
    fleet.close()


def events(process):
    lines = process.log.read_text().splitlines()
    return [json.loads(line)["event"] for line in lines if line.startswith("{")]


def become_replica(redis):
    redis.replicaof("127.0.0.1", 1)


def become_primary(redis):
    redis.replicaof("NO", "ONE")


def test_a_redis_that_refuses_is_said_once_and_waited_out_and_is_not_well_meanwhile(fleet):
    process = fleet.start()
    fleet.wait_for_slots()
    clients = {client["id"] for client in fleet.redis.client_list()}
    become_replica(fleet.redis)
    wait_for(lambda: not live_processes(fleet.redis), seconds=40, what="the heartbeat getting old")
    assert process.poll() is None
    assert events(process).count("redis_refuses") == 1
    assert '"code": "READONLY"' in process.log.read_text()
    become_primary(fleet.redis)
    fleet.wait_for_slots()
    # After the name leads to a new primary, connections to the old one would be refused for ever.
    assert clients.isdisjoint(client["id"] for client in fleet.redis.client_list())
    wait_for(lambda: all(it["working"] for it in live_processes(fleet.redis).values()))
    assert events(process).count("redis_back") == 1


def test_a_redis_that_takes_no_writes_is_not_back_because_it_can_be_read(fleet):
    process = fleet.start("idle")
    wait_for(lambda: live_processes(fleet.redis))
    fleet.redis.config_set("maxmemory", 1)
    wait_for(lambda: not live_processes(fleet.redis), seconds=40, what="the heartbeat getting old")
    assert events(process)[-1] == "redis_refuses"
    assert events(process).count("redis_refuses") == 1
    fleet.redis.config_set("maxmemory", 0)
    wait_for(lambda: "redis_back" in events(process))
    wait_for(lambda: live_processes(fleet.redis))


def test_a_start_waits_for_a_redis_that_refuses(fleet):
    become_replica(fleet.redis)
    process = fleet.start()
    wait_for(lambda: "redis_refuses" in events(process))
    become_primary(fleet.redis)
    fleet.wait_for_slots()
    assert process.poll() is None


def test_a_process_that_may_not_queue_says_so_and_is_not_working(fleet):
    fleet.redis.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all")
    process = fleet.start(RQ_REDIS_URL=f"redis://app:pw@127.0.0.1:{fleet.port}/0")
    fleet.wait_for_slots()
    fleet.redis.execute_command("ACL", "SETUSER", "app", "-rpush")

    def not_working():
        [about] = live_processes(fleet.redis).values()
        return about if not about["working"] else None

    wait_for(not_working, seconds=40, what="the heartbeat that says it")
    assert "NOPERM" in not_working()["trouble"]
    assert process.poll() is None
    fleet.redis.execute_command("ACL", "SETUSER", "app", "+rpush")
    fleet.wait_for_slots()


APPLICATION = """
from scheduler import job_scheduler
from scheduler.cron.heartbeats import live_processes
from scheduler.cron.store.registry import CronRegistry
from scheduler.cron.slot_jobs import SlotJobs
from scheduler.ledger import cron as ledger
from scheduler.queues import shared_connection

connection = shared_connection()
registry, jobs = CronRegistry(connection), SlotJobs(connection)
entry = job_scheduler("tests.jobs.pid", interval_seconds=9, cron_id="app")
registry.pause("app")
registry.resume("app")
registry.listing()
live_processes(connection)
ledger.cron_outcomes(connection)
ledger.cron_history(connection, ["tick"], last=100)
with connection.pipeline() as pipe:
    jobs.enqueue(pipe, jobs.make(registry.get("app"), None))
    pipe.execute()
registry.remove("app")
"""


def test_the_rights_that_the_docs_name_are_enough(fleet):
    for user, part in (("cron", "cron"), ("app", "rqmon")):
        fleet.redis.execute_command("ACL", "SETUSER", user, "reset", "on", ">password", *RIGHTS[part])
    url = f"redis://cron:password@127.0.0.1:{fleet.port}/0"
    process = fleet.start(RQ_REDIS_URL=url)
    fleet.wait_for_slots(more=7)  # longer than one heartbeat
    application = fleet.spawn("-c", APPLICATION, RQ_REDIS_URL=url.replace("cron:", "app:"))
    assert application.wait(20) == 0, application.log.read_text()
    process.terminate()
    assert process.wait(20) == 0
    denied = {entry["object"] for entry in fleet.redis.acl_log()}
    assert {command for command in denied if not command.startswith("client|")} == set()


@pytest.mark.parametrize("keys", [[NEXT], [SPECS], [DATA], [NEXT, SPECS, DATA]], ids=len)
def test_keys_that_were_evicted_are_noticed_without_a_restart(fleet, keys):
    process = fleet.start()
    fleet.wait_for_slots()
    fleet.redis.delete(*keys)
    fleet.wait_for_slots()
    assert process.poll() is None
    assert "cron_entries_incomplete" in events(process)


def test_an_entry_of_an_application_gets_its_slot_back_when_slots_were_evicted(fleet, monkeypatch):
    monkeypatch.setenv("RQ_REDIS_URL", fleet.url)
    fleet.start()
    fleet.wait_for_slots()
    job_scheduler(pid, interval_seconds=1000, cron_id="app")
    fleet.redis.delete(NEXT)
    wait_for(lambda: fleet.redis.zscore(NEXT, "app") is not None, what="its slot")


def test_entries_that_were_cancelled_are_not_taken_for_lost(fleet):
    process = fleet.start()
    fleet.wait_for_slots()
    CronRegistry(fleet.redis).cancel_all()
    [name] = live_processes(fleet.redis)
    beat = live_processes(fleet.redis)[name]["heartbeat"]
    wait_for(lambda: live_processes(fleet.redis)[name]["heartbeat"] > beat + 6, what="two heartbeats")
    assert CronRegistry(fleet.redis).count() == 0
    assert "cron_entries_incomplete" not in events(process)
    assert fleet.redis.exists(EPOCH)
    fleet.start()
    wait_for(lambda: CronRegistry(fleet.redis).count() == 2, what="the next start")


def test_two_processes_of_one_host_name_and_process_id_are_two(fleet):
    first = fleet.start("same")
    second = fleet.start("same")
    wait_for(lambda: len(live_processes(fleet.redis)) == 2)
    assert {(it["host"], it["pid"]) for it in live_processes(fleet.redis).values()} == {("container", 1)}
    first.terminate()
    assert first.wait(20) == 0
    assert len(live_processes(fleet.redis)) == 1
    assert second.poll() is None
