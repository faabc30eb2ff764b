import functools
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq.job import Job

from scheduler import CronError, Scheduler, job_scheduler
from scheduler.cron.claims import Claimer
from scheduler.cron.constants import EVERY_HOUR, EVERY_MINUTE
from scheduler.cron.store.registry import DATA, EPOCH, NEXT, SPECS, CronRegistry, declaring
from scheduler.errors import FunctionError
from scheduler.ledger import cron as ledger
from tests.jobs import Recorder, fail, pid

NOW = datetime.now(UTC)
EARLIER = NOW - timedelta(minutes=3)


@pytest.fixture
def registry(redis_connection):
    return CronRegistry(redis_connection)


@pytest.fixture
def claimer(redis_connection):
    return Claimer(redis_connection)


def declare(registry, *crons, now=NOW):
    with declaring() as entries:
        for cron, kwargs in crons:
            job_scheduler(Recorder.record, cron=cron, **kwargs)
    return registry.reconcile(entries, now=now)[0]


def claim_all(claimer, now):
    claims = []
    while (batch := claimer.claim(now=now, clock=now)) is not None:
        claims += batch
    return claims


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


def test_a_due_slot_becomes_one_job_with_its_retries(claimer, queue, redis_connection):
    entry = job_scheduler(
        fail, cron=EVERY_MINUTE, queue_name="q", max_retries=2, retry_backoff=5, job_timeout=9
    )
    slot = claimer.look().first
    later = slot + timedelta(seconds=3)
    [claim] = claim_all(claimer, later)
    assert (claim.slot, claim.lateness_seconds) == (slot, pytest.approx(3))
    job = queue.job(claim.job_id)
    assert (job.origin, job.timeout, job.retries_left, job.retry_intervals) == ("q", 9, 2, [5, 10])
    assert (job.func_name, job.args) == ("tests.jobs.fail", ())
    assert queue.queued_count("q") == 1
    assert later < claimer.look().first <= later + timedelta(minutes=1)
    [record] = ledger.cron_history(redis_connection, [entry.id], last=5)[entry.id]
    assert (record.slot, record.outcome, record.job_id) == (slot, "ran", job.id)


def test_arguments_reach_the_job(claimer, queue):
    job_scheduler(Recorder.record, (1, "b"), {"c": [2]}, cron=EVERY_MINUTE, queue_name="q")
    claim_all(claimer, claimer.look().first)
    Recorder.calls.clear()
    queue.work("q")
    assert Recorder.calls == [((1, "b"), {"c": [2]})]


@pytest.mark.parametrize(
    ("options", "jobs", "outcomes"),
    [
        ({}, 1, {"missed": 299, "ran": 1}),
        ({"catch_up": "all"}, 100, {"missed": 200, "late": 99, "ran": 1}),
        ({"catch_up": "skip"}, 1, {"missed": 299, "ran": 1}),
        ({"overlap": "skip"}, 1, {"missed": 299, "ran": 1}),
        ({"catch_up": "all", "overlap": "skip"}, 1, {"missed": 200, "late": 1, "skipped": 99}),
    ],
)
def test_what_becomes_of_five_hours_without_a_process(
    options, jobs, outcomes, claimer, queue, redis_connection
):
    entry = job_scheduler(pid, cron=EVERY_MINUTE, queue_name="q", **options)
    first = claimer.look().first
    claim_all(claimer, first + timedelta(minutes=299, seconds=1))
    assert queue.queued_count("q") == jobs
    assert ledger.cron_outcomes(redis_connection)[entry.id] == outcomes
    assert len(ledger.cron_history(redis_connection, [entry.id], last=1000)[entry.id]) == 100


def test_overlap_skip_waits_for_the_job_before(claimer, queue, redis_connection):
    entry = job_scheduler(pid, cron=EVERY_MINUTE, queue_name="q", overlap="skip")
    for _ in range(2):
        claim_all(claimer, claimer.look().first)
    assert ledger.cron_outcomes(redis_connection)[entry.id] == {"ran": 1, "skipped": 1}
    queue.work("q")
    claim_all(claimer, claimer.look().first)
    assert ledger.cron_outcomes(redis_connection)[entry.id] == {"ran": 2, "skipped": 1}


def test_many_processes_claim_each_slot_once(claimer, queue, rq_redis_url):
    for n in range(450):
        job_scheduler(Recorder.record, (n,), cron=EVERY_MINUTE, queue_name="q")
    now, claims = claimer.look().first, []

    def work():
        claims.extend(claim_all(Claimer(Redis.from_url(rq_redis_url)), now))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert queue.queued_count("q") == 450
    assert len({claim.entry_id for claim in claims}) == len(claims) == 450


def test_a_paused_entry_has_no_slots_due_also_after_reconciling(registry, claimer):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}))
    registry.pause("x")
    declare(registry, (EVERY_HOUR, {"cron_id": "x"}))
    assert claimer.look().first is None
    assert [(s.paused, s.next_slot) for s in registry.states()] == [(True, None)]
    registry.resume("x", now=NOW)
    assert claimer.look().first > NOW
    with pytest.raises(CronError, match="no cron entry 'y'"):
        registry.pause("y")


UNREADABLE = ["{", "[]", "{}", '{"id": "x", "schedule": {"cron": "daily"}}']


@pytest.mark.parametrize("spec", UNREADABLE)
def test_an_entry_that_cannot_be_read_holds_up_no_other_and_the_next_deployment_mends_it(
    registry, claimer, redis_connection, caplog, spec
):
    crons = [(EVERY_MINUTE, {"cron_id": "x"}), (EVERY_MINUTE, {"cron_id": "y"})]
    declare(registry, *crons, now=NOW - timedelta(minutes=1))
    redis_connection.hset(SPECS, "x", spec)
    assert [claim.entry_id for claim in claim_all(claimer, NOW)] == ["y"]
    assert [entry.id for entry in registry.entries()] == ["y"]
    assert [(r.message, r.cron_id) for r in caplog.records if r.levelname == "ERROR"] == [
        ("cron_entry_unreadable", "x")
    ]
    assert declare(registry, *crons).changed == ("x",)
    assert {claim.entry_id for claim in claim_all(claimer, NOW + timedelta(minutes=1))} == {"x", "y"}


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
    # The lateness of all entries together is no entry's.
    assert {key.decode() for key in redis_connection.keys("rqmon:*")} <= {EPOCH, ledger.LATENESS}


@pytest.mark.parametrize("function", [Recorder().method, functools.partial(pid)])
def test_a_cron_of_a_bound_method_or_a_partial_is_refused(queue, function):
    with pytest.raises(FunctionError, match="bound to an object"):
        Scheduler().cron("q", EVERY_MINUTE, function)


@pytest.mark.parametrize(
    ("field", "value"),
    [("retry_max", -1), ("retry_max", "a"), ("retry_intervals", ["a"]), ("function", None), ("function", 5)],
)
def test_an_entry_with_a_field_that_cannot_be_queued_holds_up_no_other(
    registry, claimer, redis_connection, field, value
):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}), (EVERY_MINUTE, {"cron_id": "y"}), now=EARLIER)
    spec = json.loads(redis_connection.hget(SPECS, "x"))
    redis_connection.hset(SPECS, "x", json.dumps({**spec, field: value}))
    assert {claim.entry_id for claim in claim_all(claimer, NOW)} == {"y"}


@pytest.mark.parametrize("lost", [DATA, NEXT])
def test_an_entry_of_which_a_part_is_lost_is_whole_after_the_next_deployment(
    registry, claimer, redis_connection, lost
):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}))
    redis_connection.delete(lost)
    claim_all(claimer, NOW)
    assert declare(registry, (EVERY_MINUTE, {"cron_id": "x"})).changed == ("x",)
    assert [claim.entry_id for claim in claim_all(claimer, NOW + timedelta(minutes=1))] == ["x"]


@pytest.mark.parametrize(
    ("change", "counted"),
    [
        ((EVERY_HOUR, {"cron_id": "x", "catch_up": "skip"}), {"x": {"missed": 3}}),
        ((EVERY_MINUTE, {"cron_id": "x", "description": "new"}), {}),  # the next claim sees the new one
    ],
    ids=["schedule", "description"],
)
def test_a_change_between_a_claims_look_and_its_transaction_is_not_overwritten(
    registry, claimer, redis_connection, monkeypatch, change, counted
):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}), now=EARLIER)
    ask = claimer._earlier.ask

    def changed_meanwhile(ids):
        declare(registry, change)
        return ask(ids)

    monkeypatch.setattr(claimer._earlier, "ask", changed_meanwhile)
    assert claimer.claim(now=NOW, clock=NOW) == []
    assert redis_connection.llen("rq:queue:short-running") == 0
    assert ledger.cron_outcomes(redis_connection) == counted


def test_a_change_tries_again_when_a_slot_was_claimed_meanwhile(
    registry, claimer, redis_connection, monkeypatch
):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x", "late_after_seconds": 120}), now=EARLIER)
    stored, interrupted = registry._stored, []

    def claimed_meanwhile(*args):
        found = stored(*args)
        if not interrupted:
            interrupted.append(claim_all(claimer, NOW))
        return found

    monkeypatch.setattr(registry, "_stored", claimed_meanwhile)
    declare(registry, (EVERY_HOUR, {"cron_id": "x"}))
    # Claimed with the old schedule, so nothing was left to be missed by the change.
    assert ledger.cron_outcomes(redis_connection)["x"] == {"missed": 2, "ran": 1}


@pytest.mark.parametrize("status", ["queued", "scheduled", "deferred", "started"])
def test_a_job_that_is_not_done_is_in_the_way_of_the_next_slot(claimer, queue, redis_connection, status):
    entry, now = job_scheduler(pid, interval_seconds=60, overlap="skip"), datetime.now(UTC)
    [claim] = claim_all(claimer, now + timedelta(minutes=1))
    redis_connection.hset(Job.key_for(claim.job_id), "status", status)
    assert claim_all(claimer, now + timedelta(minutes=2)) == []
    redis_connection.hset(Job.key_for(claim.job_id), "status", "finished")
    assert len(claim_all(claimer, now + timedelta(minutes=3))) == 1
    assert ledger.cron_outcomes(redis_connection)[entry.id]["skipped"] == 1


def test_lateness_is_measured_by_the_server_when_the_job_is_queued(registry, claimer, redis_connection):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}), now=EARLIER)
    slot = claimer.look().first
    [claim] = claimer.claim(now=slot)  # a process that looked at the time, and was frozen until now
    assert claim.lateness_seconds > 100
    assert ledger.cron_outcomes(redis_connection)["x"] == {"late": 1}


def test_the_last_slots_are_in_order_also_when_later_ones_were_skipped(registry, claimer, redis_connection):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x", "catch_up": "all", "overlap": "skip"}), now=EARLIER)
    claim_all(claimer, NOW)
    records = ledger.cron_history(redis_connection, ["x"], last=10)["x"]
    assert [record.outcome for record in records] == ["skipped", "skipped", "late"]
    assert records == sorted(records, key=lambda record: record.slot, reverse=True)


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
