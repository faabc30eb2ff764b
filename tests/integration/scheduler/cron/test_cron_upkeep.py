"""Slots that are in no schedule, and lost keys, are noticed and mended."""

import itertools
from datetime import timedelta

import pytest
from redis.client import Pipeline

from scheduler import job_scheduler
from scheduler.cron import claims
from scheduler.cron.claims import Claimer
from scheduler.cron.store import upkeep as upkeep_module
from scheduler.cron.store.registry import DATA, NEXT, PAUSED, SPECS, CronRegistry, declaring
from scheduler.cron.store.upkeep import Upkeep
from scheduler.ledger import cron as ledger
from tests.jobs import pid
from tests.servers import wait_for

HOUR = timedelta(hours=1)


@pytest.fixture
def upkeep(redis_connection, claimer):
    return Upkeep(redis_connection, claimer.clock)


def slot(redis, id_="x"):
    return redis.zscore(NEXT, id_)


@pytest.mark.parametrize("ahead", [7200.0, 3 * 86400.0, 1e14, float("inf")])
def test_a_slot_that_a_wrong_clock_left_behind_is_mended(upkeep, redis_connection, queue, ahead):
    job_scheduler(pid, interval_seconds=60, cron_id="x")
    job_scheduler(pid, cron="0 0 1 1 *", cron_id="yearly")
    right, yearly = slot(redis_connection), slot(redis_connection, "yearly")
    redis_connection.zadd(NEXT, {"x": right + ahead})
    upkeep.mend_all_slots()
    assert right <= slot(redis_connection) <= right + 60
    assert slot(redis_connection, "yearly") == yearly
    assert ledger.cron_outcomes(redis_connection) == {}


def test_all_slots_are_looked_at_in_turn(claimer, upkeep, redis_connection, queue):
    for number in range(35):
        job_scheduler(pid, (number,), interval_seconds=3600)
    for id_, score in redis_connection.zrange(NEXT, 0, -1, withscores=True):
        redis_connection.zadd(NEXT, {id_: score + 86400})
    for _ in range(4):
        upkeep.mend_some_slots()
    last = redis_connection.zrange(NEXT, -1, -1, withscores=True)[0][1]
    assert last <= (claimer.look().now + HOUR).timestamp()


def test_an_entry_without_a_next_slot_is_given_one_unless_paused(upkeep, redis_connection, queue):
    for id_ in ("x", "paused"):
        job_scheduler(pid, interval_seconds=60, cron_id=id_)
    CronRegistry(redis_connection).pause("paused")
    assert upkeep.sizes().is_whole
    redis_connection.delete(NEXT)
    assert not upkeep.sizes().is_whole
    upkeep.give_slots()
    assert upkeep.sizes().is_whole
    assert [id_ for id_, _ in redis_connection.zrange(NEXT, 0, -1, withscores=True)] == [b"x"]


@pytest.mark.parametrize("key", [SPECS, DATA])
def test_a_lost_key_is_noticed(upkeep, redis_connection, queue, key):
    job_scheduler(pid, interval_seconds=60, cron_id="x")
    redis_connection.delete(key)
    assert not upkeep.sizes().is_whole


@pytest.fixture
def declared(redis_connection, queue):
    """Writes two entries as a cron process does."""
    with declaring() as entries:
        job_scheduler(pid, interval_seconds=3600, cron_id="x")
        job_scheduler(pid, interval_seconds=3600, cron_id="paused")
    write = lambda: CronRegistry(redis_connection).reconcile(entries)  # noqa: E731
    write()
    CronRegistry(redis_connection).pause("paused")
    return write


@pytest.mark.parametrize("key", [SPECS, DATA, NEXT])
def test_a_paused_entry_stays_paused_when_a_key_is_lost(upkeep, redis_connection, declared, key):
    redis_connection.delete(key)
    declared()
    upkeep.give_slots()
    assert slot(redis_connection) is not None
    assert slot(redis_connection, "paused") is None
    assert upkeep.sizes().is_whole


@pytest.mark.parametrize("key", [SPECS, DATA])
def test_a_slot_that_comes_while_a_key_is_lost_is_queued_late_and_counted(
    claimer, redis_connection, declared, key
):
    due = slot(redis_connection) - 3600
    redis_connection.zadd(NEXT, {"x": due})
    redis_connection.delete(key)
    assert not claimer.claim()
    declared()
    [claimed] = claimer.claim()
    assert claimed.slot.timestamp() == due
    assert sum(ledger.cron_outcomes(redis_connection)["x"].values()) == 1


def test_an_entry_that_has_a_slot_is_shown_with_it_although_it_is_among_the_paused(
    redis_connection, declared
):
    redis_connection.sadd(PAUSED, "x")
    states = {state.entry.id: state for state in CronRegistry(redis_connection).states()}
    assert not states["x"].paused
    assert states["x"].next_slot is not None
    assert states["paused"].paused


def test_nothing_is_queued_or_counted_while_the_clock_of_redis_is_not_believed(
    claimer, redis_connection, queue, monkeypatch
):
    job_scheduler(pid, interval_seconds=1, cron_id="x")
    own = itertools.count(claims.own_seconds(), step=0.001)
    monkeypatch.setattr(claims, "own_seconds", lambda: next(own))
    assert claimer.look().is_believed
    # To this process, the server's clock has jumped two hours ahead.
    redis_connection.zadd(NEXT, {"x": int(slot(redis_connection)) - 7200})
    jumped = itertools.count(next(own) - 7200, step=0.001)
    monkeypatch.setattr(claims, "own_seconds", lambda: next(jumped))
    assert not claimer.look().is_believed
    assert claimer.claim() is None
    assert ledger.cron_outcomes(redis_connection) == {}
    monkeypatch.setattr(claims, "own_seconds", lambda: next(own))
    assert claimer.look().is_believed
    assert claimer.claim()


@pytest.mark.parametrize("mend", ["mend_some_slots", "mend_all_slots"])
def test_a_slot_that_another_process_claims_meanwhile_is_not_queued_again(
    upkeep, redis_connection, queue, monkeypatch, mend
):
    job_scheduler(pid, interval_seconds=1, cron_id="x")
    hmget, claimed = Pipeline.hmget, []

    def claim_meanwhile(pipe, key, *rest):
        if key == SPECS and not claimed:
            claimed.append(None)  # the claim reads specs too
            wait_for(lambda: claimed.extend(Claimer(redis_connection).claim() or []) or len(claimed) > 1)
        return hmget(pipe, key, *rest)

    monkeypatch.setattr(Pipeline, "hmget", claim_meanwhile)
    getattr(upkeep, mend)()
    assert slot(redis_connection) > claimed[1].slot.timestamp()


@pytest.mark.parametrize(("ahead", "is_claimed"), [(3, True), (7200, False)])
def test_a_mended_slot_is_later_than_the_last_claimed_unless_a_wrong_clock_gave_that(
    upkeep, redis_connection, queue, ahead, is_claimed
):
    job_scheduler(pid, interval_seconds=1, cron_id="x")
    claimed = int(redis_connection.time()[0]) + ahead
    redis_connection.hset(ledger.LAST, "x", claimed)
    redis_connection.zadd(NEXT, {"x": claimed + 86400})
    upkeep.mend_all_slots()
    assert (slot(redis_connection) == claimed + 1) == is_claimed
    assert slot(redis_connection) <= claimed + 1


@pytest.mark.parametrize("last", ["text", "nan", b"\xff", None])
def test_a_last_slot_that_can_not_be_read_does_not_keep_upkeep(upkeep, redis_connection, queue, last):
    job_scheduler(pid, interval_seconds=60, cron_id="x")
    right = slot(redis_connection)
    if last is None:
        redis_connection.set(ledger.LAST, "no hash")
    else:
        redis_connection.hset(ledger.LAST, "x", last)
    redis_connection.zadd(NEXT, {"x": right + 7200})
    upkeep.mend_all_slots()
    assert right <= slot(redis_connection) <= right + 60


def test_nothing_is_moved_while_the_clock_of_redis_is_not_believed(
    claimer, upkeep, redis_connection, queue, monkeypatch
):
    job_scheduler(pid, interval_seconds=60, cron_id="x")
    job_scheduler(pid, interval_seconds=60, cron_id="lost")
    assert claimer.look().is_believed
    redis_connection.zrem(NEXT, "lost")
    wrong = slot(redis_connection) + 7200
    redis_connection.zadd(NEXT, {"x": wrong})
    own = claims.own_seconds() - 7200
    monkeypatch.setattr(upkeep_module, "own_seconds", lambda: own)
    upkeep.mend_all_slots()
    upkeep.give_slots()
    assert redis_connection.zrange(NEXT, 0, -1, withscores=True) == [(b"x", wrong)]
