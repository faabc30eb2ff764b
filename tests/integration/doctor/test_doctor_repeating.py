"""Cron that does not do what it should, as the doctor names it."""

import signal
import time
from datetime import UTC, datetime

import pytest

from rqmon.doctor.finding import Severity
from rqmon.doctor.remedies import redis_command
from scheduler import job_scheduler
from scheduler.cron.store.keys import NEXT, SPECS
from scheduler.cron.store.registry import CronRegistry
from tests.doctor import findings, found, is_found
from tests.jobs import echo, pid
from tests.processes.worker_process import process
from tests.servers import wait_for

PROGRAM = """
from scheduler import CronProcess, job_scheduler
def schedule_jobs():
    job_scheduler("tests.jobs.pid", cron="* * * * *", cron_id="each-minute", queue_name="q")
CronProcess(schedule_jobs).run()
"""


@pytest.fixture
def entry(redis_connection):
    job_scheduler(pid, cron="0 0 1 1 *", cron_id="yearly", queue_name="q")


def cron_process(redis_connection):
    return process("-c", PROGRAM)


def works(redis_connection):
    return redis_connection.hexists(SPECS, "each-minute") and not is_found(redis_connection, "cron process")


@pytest.mark.usefixtures("entry")
def test_entries_without_a_process(redis_connection):
    it = found(redis_connection, "No cron process runs: 1 cron entry would need one.")
    assert (it.severity, it.command) == (Severity.BROKEN, ".venv/bin/rqmon cron run")


def test_no_entries_need_no_process(redis_connection):
    assert not is_found(redis_connection, "cron")


def test_a_process_that_works_and_one_that_died(redis_connection):
    with cron_process(redis_connection) as running:
        wait_for(lambda: works(redis_connection), what="the cron process works")
        running.kill()
        running.wait()
        # Its heartbeats count for 15 s.
        wait_for(lambda: is_found(redis_connection, "The cron process is dead: 1 cron entry would need it."))
        assert "It was killed" in found(redis_connection, "The cron process is dead").cause


def test_an_entry_that_is_stuck(redis_connection):
    with cron_process(redis_connection) as running:
        wait_for(lambda: works(redis_connection), what="the cron process works")
        running.send_signal(signal.SIGSTOP)
        it = found(redis_connection, "1 cron entry should have run up to", later=150)
        assert (it.severity, it.fact.endswith("each-minute.")) == (Severity.BROKEN, True)
        assert not is_found(redis_connection, "should have run")


@pytest.mark.usefixtures("entry")
def test_an_entry_that_can_not_be_read(redis_connection):
    redis_connection.hset(SPECS, "odd", '{"id": "odd"}')
    it = found(redis_connection, "Cron entry odd can't be queued")
    assert it.severity == Severity.BROKEN
    assert it.command == ".venv/bin/rqmon cron remove odd  # and register it again"


def test_a_key_of_cron_that_holds_something_else(redis_connection):
    redis_connection.set(SPECS, "text")
    it = found(redis_connection, f"Cron entry {SPECS} can't be queued")
    assert it.command == redis_command("TYPE", SPECS)


@pytest.mark.usefixtures("entry")
def test_an_entry_that_is_paused(redis_connection):
    CronRegistry(redis_connection).pause("yearly")
    it = found(redis_connection, "1 cron entry is paused: yearly.")
    assert (it.severity, it.command) == (Severity.WARNING, ".venv/bin/rqmon cron resume yearly")


def test_entries_that_do_the_same_under_two_ids(redis_connection):
    for id_, argument in (("a", 1), ("b", 1), ("c", 2)):
        job_scheduler(echo, (argument,), cron="0 0 1 1 *", cron_id=id_, queue_name="q")
    it = found(redis_connection, "2 cron entries do the same at the same times: a and b.")
    assert (it.severity, it.command) == (Severity.WARNING, ".venv/bin/rqmon cron remove b")


def test_slots_that_were_missed(redis_connection):
    job_scheduler(pid, cron="* * * * *", cron_id="each-minute", queue_name="q")
    minute = time.time() // 60 * 60
    redis_connection.zadd(NEXT, {"each-minute": minute - 120})
    CronRegistry(redis_connection).pause("each-minute")  # what is due is missed then
    it = found(redis_connection, "3 cron slots of the last hour got no job: each-minute.")
    assert (it.severity, it.command) == (Severity.WARNING, ".venv/bin/rqmon cron history each-minute")
    assert not is_found(redis_connection, "cron slots", later=3_700)


def test_an_entry_whose_next_run_has_drifted(redis_connection):
    job_scheduler(pid, cron="* * * * *", cron_id="each-minute", queue_name="q")
    assert not is_found(redis_connection, "run later than scheduled")
    in_a_day = datetime.now(UTC).timestamp() + 86_400
    redis_connection.zadd(NEXT, {"each-minute": in_a_day})
    it = found(redis_connection, "1 cron entry will run later than scheduled: each-minute.")
    assert it.command == ".venv/bin/rqmon cron pause each-minute && .venv/bin/rqmon cron resume each-minute"
    CronRegistry(redis_connection).pause("each-minute")
    CronRegistry(redis_connection).resume("each-minute")
    assert not is_found(redis_connection, "run later than scheduled")


def test_an_entry_that_was_queued_after_the_snapshot_has_not_drifted(redis_connection):
    job_scheduler(pid, cron="0 * * * *", cron_id="each-hour", queue_name="q")
    assert not is_found(redis_connection, "run later than scheduled", later=-3_600)


@pytest.mark.usefixtures("entry")
def test_hostile_ids_are_words_of_a_command(redis_connection):
    job_scheduler(pid, cron="0 0 1 1 *", cron_id="-a; rm -rf ~", queue_name="q")
    CronRegistry(redis_connection).pause("-a; rm -rf ~")
    commands = [it.command for it in findings(redis_connection) if "paused" in it.fact]
    assert commands == [".venv/bin/rqmon cron resume -- '-a; rm -rf ~'"]
