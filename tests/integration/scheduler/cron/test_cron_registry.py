"""Registering, reconciling, pausing and removing cron entries."""

import functools
from datetime import UTC, datetime, timedelta

import pytest

from scheduler import CronError, Scheduler, job_scheduler
from scheduler.cron.constants import EVERY_HOUR, EVERY_MINUTE
from scheduler.cron.store.registry import DATA, EPOCH, NEXT
from scheduler.errors import FunctionError
from scheduler.ledger import cron as ledger
from tests.crons import NOW, claim_all, declare
from tests.jobs import Recorder, pid


def test_registering_twice_is_registering_once(queue):
    first = job_scheduler(pid, cron=EVERY_MINUTE)
    again = job_scheduler(pid, cron=EVERY_MINUTE)
    assert first == again
    assert queue.cron_job_count() == 1


def test_declaring_the_same_twice_is_declaring_it_once_but_two_with_one_id_are_refused(registry):
    assert declare(registry, (EVERY_HOUR, {}), (EVERY_HOUR, {})).added == (registry.entries()[0].id,)
    with pytest.raises(CronError, match="the same id"):
        declare(registry, (EVERY_HOUR, {"cron_id": "x"}), (EVERY_MINUTE, {"cron_id": "x"}))


def test_registering_again_keeps_the_next_slot(registry, claimer):
    declare(registry, (EVERY_HOUR, {}), now=NOW - timedelta(days=1))
    due = claimer.look().first
    declare(registry, (EVERY_HOUR, {}))
    job_scheduler(Recorder.record, cron=EVERY_HOUR)
    assert claimer.look().first == due < NOW


def test_reconciling_adds_changes_removes_and_keeps(registry):
    one, two = (EVERY_HOUR, {"cron_id": "one"}), (EVERY_HOUR, {"cron_id": "two"})
    assert declare(registry, one, two).added == ("one", "two")
    changed = (EVERY_MINUTE, {"cron_id": "two"})
    result = declare(registry, changed, ("5 * * * *", {"cron_id": "three"}))
    assert (result.added, result.changed, result.removed) == (("three",), ("two",), ("one",))
    assert declare(registry, changed, ("5 * * * *", {"cron_id": "three"})).unchanged == ("two", "three")
    assert [entry.id for entry in registry.entries()] == ["three", "two"]


def test_a_slot_that_is_due_when_its_schedule_changes_is_missed_not_forgotten(
    registry, redis_connection, claimer
):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}), now=NOW - timedelta(minutes=3))
    declare(registry, (EVERY_HOUR, {"cron_id": "x"}))
    assert ledger.cron_outcomes(redis_connection)["x"] == {"missed": 3}
    assert claimer.look().first > NOW


def test_reconciling_leaves_entries_registered_elsewhere(registry, queue):
    elsewhere = job_scheduler(pid, cron=EVERY_HOUR)
    declare(registry, (EVERY_MINUTE, {}))
    assert declare(registry).removed
    assert registry.entries() == [elsewhere]


def test_a_cron_with_a_timeout_that_is_no_duration_is_refused(queue):
    for timeout in ("soon", [1]):
        with pytest.raises(CronError, match="timeout is"):
            queue.cron("short-running", EVERY_MINUTE, pid, timeout=timeout)
    assert queue.cron_job_count() == 0


def test_cancelling_leaves_nothing(queue, claimer, redis_connection):
    job_scheduler(pid, cron=EVERY_MINUTE, queue_name="q")
    claim_all(claimer, claimer.look().first)
    assert queue.cancel_cron_jobs() == 0
    assert claimer.look().first is None
    # The lateness histogram covers all entries, and belongs to none.
    assert {key.decode() for key in redis_connection.keys("rqmon:*")} <= {EPOCH, ledger.LATENESS}


@pytest.mark.parametrize("function", [Recorder().method, functools.partial(pid)])
def test_a_cron_of_a_bound_method_or_a_partial_is_refused(queue, function):
    with pytest.raises(FunctionError, match="bound to an object"):
        Scheduler().cron("q", EVERY_MINUTE, function)


@pytest.mark.parametrize("lost", [DATA, NEXT])
def test_an_entry_of_which_a_part_is_lost_is_whole_after_the_next_deployment(
    registry, claimer, redis_connection, lost
):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}))
    redis_connection.delete(lost)
    claim_all(claimer, NOW)
    assert declare(registry, (EVERY_MINUTE, {"cron_id": "x"})).changed == ("x",)
    assert [claim.entry_id for claim in claim_all(claimer, NOW + timedelta(minutes=1))] == ["x"]


def test_a_slot_that_is_due_when_its_entry_is_paused_is_missed(registry, redis_connection):
    earlier = datetime.now(UTC) - timedelta(minutes=3)
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}), now=earlier)
    registry.pause("x")
    registry.resume("x", now=datetime.now(UTC))
    assert ledger.cron_outcomes(redis_connection)["x"] == {"missed": 3}


def test_a_declared_entry_stays_declared_when_another_program_registers_it(registry):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}))
    job_scheduler(Recorder.record, cron=EVERY_HOUR, cron_id="x")
    assert registry.get("x").schedule.cron == EVERY_HOUR
    assert declare(registry).removed == ("x",)


def test_arguments_without_a_stable_text_are_written_again_at_each_deployment(registry):
    first, second = (EVERY_MINUTE, {"cron_id": "x", "function_args": (object(),)}), (EVERY_MINUTE, {})
    declare(registry, first, second)
    assert declare(registry, first, second).changed == ("x",)


def test_a_flush_during_a_reconciliation_is_seen_after_it(registry, redis_connection, claimer):
    _, epoch = registry.reconcile([], now=NOW)
    assert claimer.look().epoch == epoch
    redis_connection.flushdb()
    assert claimer.look().epoch is None


def test_removing_one_entry_leaves_the_others(registry, redis_connection):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}), (EVERY_MINUTE, {"cron_id": "y"}))
    registry.remove("x")
    assert [entry.id for entry in registry.entries()] == ["y"]
    with pytest.raises(CronError, match="no cron entry 'x'"):
        registry.remove("x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"catchup": "skip"}, "no option 'catchup'"),
        ({"tz": "UTC"}, "no option 'tz'"),
        ({"cron_id": 5}, "cron_id is 5"),
        ({"cron_id": ""}, "cron_id is ''"),
        ({"late_after_seconds": "30"}, "late_after_seconds is '30'"),
        ({"late_after_seconds": None}, "late_after_seconds is None"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_written(queue, options, message):
    with pytest.raises(CronError, match=message):
        job_scheduler(pid, cron=EVERY_MINUTE, **options)
    assert queue.cron_job_count() == 0
