"""What becomes of each slot that is due."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq.job import Job

from scheduler import CronError, job_scheduler
from scheduler.cron.claims import Claimer
from scheduler.cron.constants import EVERY_HOUR, EVERY_MINUTE
from scheduler.cron.store.registry import SPECS
from scheduler.ledger import cron as ledger
from tests.crons import EARLIER, NOW, claim_all, declare
from tests.jobs import Recorder, fail, pid


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
    [claim] = claimer.claim(now=slot)  # a process that read the time, then was frozen until now
    assert claim.lateness_seconds > 100
    assert ledger.cron_outcomes(redis_connection)["x"] == {"late": 1}


def test_the_last_slots_are_in_order_also_when_later_ones_were_skipped(registry, claimer, redis_connection):
    declare(registry, (EVERY_MINUTE, {"cron_id": "x", "catch_up": "all", "overlap": "skip"}), now=EARLIER)
    claim_all(claimer, NOW)
    records = ledger.cron_history(redis_connection, ["x"], last=10)["x"]
    assert [record.outcome for record in records] == ["skipped", "skipped", "late"]
    assert records == sorted(records, key=lambda record: record.slot, reverse=True)
