"""Stored things that can't be used affect nothing else."""

import json
import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq import Queue

from scheduler import CronError, SchedulerError, job_scheduler
from scheduler.cron import slots
from scheduler.cron.claims import Claimer
from scheduler.cron.earlier_jobs import LAST_JOB
from scheduler.cron.heartbeats import PROCESSES, Heart, seen
from scheduler.cron.store.registry import DATA, EPOCH, NEXT, PAUSED, SPECS
from scheduler.ledger import cron as ledger
from tests.jobs import Recorder, pid

MINUTE = timedelta(minutes=1)


def register(id_, **options):
    return job_scheduler(
        Recorder.record, **{"interval_seconds": 60, "cron_id": id_, "queue_name": id_, **options}
    )


def claimed(claimer, *, after=2 * MINUTE):
    now, ids = datetime.now(UTC) + after, []
    while (batch := claimer.claim(now=now, clock=now)) is not None:
        ids += [claim.entry_id for claim in batch]
    return ids


def spec(**fields):
    def spoil(redis):
        stored = json.loads(redis.hget(SPECS, "bad"))
        redis.hset(SPECS, "bad", json.dumps({**stored, **fields}))

    return spoil


CANT_BE_QUEUED = {
    "timeout of half a second": spec(timeout=0.5),
    "timeout 0": spec(timeout="0"),
    "timeout beyond all": spec(timeout=10**30),
    "retries after ages": spec(retry_max=1, retry_intervals=[10**12]),
    "lateness beyond all": spec(late_after_seconds=1e300, catch_up="skip"),
    "half a character in the queue": spec(queue_name="\ud800"),
    "half a character in the description": spec(description="\ud800"),
    "another's id": spec(id="other"),
    "a field of a newer version": spec(jitter_seconds=5),
    "a zone that nobody knows": spec(schedule={"cron": "* * * * *", "timezone": "Mars/Olympus"}),
    "nested beyond all": lambda redis: redis.hset(SPECS, "bad", b"[" * 100_000),
    "no UTF-8": lambda redis: redis.hset(SPECS, "bad", b"\xff"),
    "no arguments": lambda redis: redis.hdel(DATA, "bad"),
    "an id that is no UTF-8": lambda redis: redis.zadd(NEXT, {b"\xff\xfe": 1}),
    "a queue of the wrong type": lambda redis: redis.set(Queue("bad", connection=redis).key, "x"),
}
MENDED_BY_THE_CLAIM = {
    "a slot before all time": lambda redis: redis.zadd(NEXT, {"bad": float("-inf")}),
    "a slot of 1970": lambda redis: redis.zadd(NEXT, {"bad": 1}),
    "a last job that is no UTF-8": lambda redis: redis.hset(LAST_JOB, "bad", b"\xff"),
    "last jobs of the wrong type": lambda redis: (redis.delete(LAST_JOB), redis.set(LAST_JOB, "x")),
    "arguments of garbage": lambda redis: redis.hset(DATA, "bad", b"\x80garbage"),
    "a history of the wrong type": lambda redis: redis.set("rqmon:ledger:cron:history:bad", "x"),
    "a count that is no number": lambda redis: redis.hset(ledger.OUTCOMES, "bad|ran", "x"),
    "counts of the wrong type": lambda redis: (
        redis.delete(ledger.OUTCOMES),
        redis.set(ledger.OUTCOMES, "x"),
    ),
}


@pytest.mark.parametrize("spoil", CANT_BE_QUEUED.values(), ids=CANT_BE_QUEUED.keys())
def test_an_entry_that_cant_be_queued_costs_itself_alone_and_stays_for_others(
    claimer, redis_connection, registry, caplog, spoil
):
    register("bad", overlap="skip")
    register("good", overlap="skip")
    spoil(redis_connection)
    before = redis_connection.zrange(NEXT, 0, -1)
    assert [id_ for id_ in claimed(claimer) if id_ != "bad"] == ["good"]
    assert claimer.look().first > datetime.now(UTC)  # nothing is due that this process could do
    assert sorted(redis_connection.zrange(NEXT, 0, -1)) == sorted(before)
    assert len(claimer.passed_over) == 1
    assert claimed(claimer) == []
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == ["cron_entry_unreadable"]


@pytest.mark.parametrize("spoil", MENDED_BY_THE_CLAIM.values(), ids=MENDED_BY_THE_CLAIM.keys())
def test_what_else_is_spoilt_costs_a_count_or_nothing(claimer, redis_connection, spoil):
    register("bad", overlap="skip")
    register("good", overlap="skip")
    spoil(redis_connection)
    assert "good" in claimed(claimer)
    assert claimer.passed_over == {}
    assert all(
        score > datetime.now(UTC).timestamp()
        for _, score in redis_connection.zrange(NEXT, 0, -1, withscores=True)
    )
    assert "good" in claimed(claimer, after=20 * MINUTE) or redis_connection.llen("rq:queue:good") == 1


def test_a_count_that_cant_be_written_costs_no_other(claimer, redis_connection, caplog):
    register("bad")
    register("good")
    redis_connection.hset(ledger.OUTCOMES, "bad|ran", "x")
    now = claimer.look().first
    assert len(claimer.claim(now=now, clock=now)) == 2
    assert ledger.cron_outcomes(redis_connection) == {"good": {"ran": 1}}
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "cron_counts_failed"
    ]


def test_what_only_rq_refuses_is_refused_at_registration_too(queue, monkeypatch):
    create_job = Queue.create_job

    def refuse(*args, **kwargs):
        if "cron_id" in kwargs["meta"]:  # a slot's
            raise ValueError("not on a Thursday")
        return create_job(*args, **kwargs)

    monkeypatch.setattr(Queue, "create_job", refuse)
    with pytest.raises(CronError, match="can't make a job of cron entry 'x': not on a Thursday"):
        register("x")
    assert queue.cron_job_count() == 0


def test_an_entry_that_is_registered_again_is_queued_again(claimer, redis_connection, registry):
    register("bad")
    spec(timeout="0")(redis_connection)
    assert claimed(claimer) == []
    register("bad")
    assert claimed(claimer) == ["bad"]
    assert claimer.passed_over == {}


def test_many_that_cant_be_queued_do_not_hide_those_behind_them(claimer, redis_connection):
    register("good")
    redis_connection.zadd(NEXT, {f"junk-{n}": 1 for n in range(1000)})
    assert claimed(claimer) == ["good"]
    assert len(claimer.passed_over) == 1000


def test_a_zone_that_one_process_does_not_know_is_left_to_the_others(claimer, redis_connection, monkeypatch):
    entry = register("kyiv", interval_seconds=None, cron="* * * * *", timezone="Europe/Kyiv")

    class OldZones(zoneinfo.ZoneInfo):
        def __new__(cls, key):
            raise zoneinfo.ZoneInfoNotFoundError(key)  # as tzdata before 2022b does

    slots.zone.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(slots, "ZoneInfo", OldZones)
        assert claimed(claimer) == []
        assert "Unknown time zone 'Europe/Kyiv'" in claimer.passed_over[b"kyiv"]
    assert claimed(Claimer(redis_connection)) == [entry.id]


def test_what_cant_be_read_is_listed_with_the_reason_and_can_be_removed(registry, redis_connection):
    register("good")
    redis_connection.hset(SPECS, b"\xff", b"{}")
    redis_connection.zadd(NEXT, {"slot alone": 1})
    redis_connection.hset(DATA, "data alone", b"")
    register("far")
    redis_connection.zadd(NEXT, {"far": float("inf")})
    listing = registry.listing()
    assert [state.entry.id for state in listing.states] == ["good"]
    assert set(listing.unreadable) == {"\udcff", "slot alone", "data alone", "far"}
    for id_ in listing.unreadable:
        registry.remove(id_)
    assert registry.listing().unreadable == {}
    with pytest.raises(CronError, match="no cron entry"):
        registry.remove("\ud800")


@pytest.mark.parametrize("key", [SPECS, DATA, NEXT, PAUSED])
def test_a_key_of_the_wrong_type_is_named(registry, redis_connection, key):
    register("good")
    redis_connection.delete(key)
    redis_connection.set(key, "x")
    assert "delete it" in registry.listing().unreadable[key]


def test_an_epoch_of_the_wrong_type_is_written_again(registry, claimer, redis_connection):
    redis_connection.hset(EPOCH, "a", "b")
    assert claimer.look().epoch is None
    _, epoch = registry.reconcile([])
    assert claimer.look().epoch == epoch


def test_a_history_with_junk_in_it_is_read_without_it(claimer, redis_connection):
    register("x")
    claimed(claimer)
    redis_connection.lpush(
        "rqmon:ledger:cron:history:x", "junk", "[" * 100_000, "5", '{"slot": "a"}', b"\xff"
    )
    [*records] = ledger.cron_history(redis_connection, ["x"], last=100)["x"]
    # Which of the two depends on where in a minute the test runs.
    assert len([record for record in records if record.outcome in ("ran", "late")]) == 1


def test_heartbeats_with_junk_beside_them_are_read_and_the_junk_is_named(redis_connection):
    redis_connection.hset(PROCESSES, b"\xff", b"[" * 100_000)
    heart = Heart(redis_connection, version="1")
    heart.worked()
    assert heart.beat({"\udcff": "can't be read"})
    found, now = seen(redis_connection)
    [process] = found.live.values()
    assert process.is_working(now)
    assert (process.passed_over_count, found.unreadable) == (1, ("\\xff",))
    redis_connection.delete(PROCESSES)
    redis_connection.set(PROCESSES, "x")
    heart.hurry()
    assert heart.beat({})
    assert seen(redis_connection)[0].unreadable == (PROCESSES,)


@pytest.mark.parametrize(
    "options",
    [
        *({"job_timeout": it} for it in (0.5, "0", "0h", float("inf"), float("nan"), True, -1.5, 10**30)),
        {"cron_id": "\ud83d"},
        {"description": "\ud83d"},
        {"queue_name": "q\ud83d"},
        {"queue_name": "q" * 5000},
        {"function": "module.\ud83d"},
        {"retry_intervals": 10**12},
        {"late_after_seconds": 1e300},
    ],
)
def test_what_a_slot_would_refuse_is_refused_when_it_is_registered(queue, options):
    with pytest.raises((SchedulerError, UnicodeError)) as raised:
        job_scheduler(**{"function": pid, "interval_seconds": 60, **options})
    assert isinstance(raised.value, SchedulerError)
    assert queue.cron_job_count() == 0


@pytest.mark.usefixtures("either_serializer")
class Mute:
    def __repr__(self):
        raise RuntimeError("no text")


ENDLESS = [1]
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize("argument", [Mute(), ENDLESS, 10**5000], ids=["mute", "endless", "long"])
def test_an_argument_without_a_text_needs_an_id(queue, claimer, argument):
    with pytest.raises(CronError, match="give cron_id"):
        job_scheduler(pid, (argument,), interval_seconds=60)
    job_scheduler(pid, (argument,), interval_seconds=60, cron_id="x")
    assert claimed(claimer)


def test_an_entry_whose_queue_the_user_may_not_touch_costs_itself_alone(redis_connection, queue):
    redis_connection.acl_setuser(
        "of-one-queue",
        enabled=True,
        passwords="+pw",
        commands=["+@all"],
        keys=["rq:queues", "rq:queue:good", "rq:job:*", "rqmon:*"],
    )
    port = redis_connection.get_connection_kwargs()["port"]
    try:
        register("good")
        register("bad")
        claimer = Claimer(Redis(port=port, username="of-one-queue", password="pw"))
        assert set(claimed(claimer)) == {"good"}
        assert "no right to the key rq:queue:bad" in claimer.passed_over[b"bad"]
    finally:
        redis_connection.acl_deluser("of-one-queue")
    assert "bad" in claimed(Claimer(redis_connection))


def test_half_a_character_in_an_argument_reaches_the_job(queue, claimer):
    register("x", function_args=("\ud83d",))
    assert claimed(claimer) == ["x"]
    Recorder.calls.clear()
    queue.work("x")
    assert Recorder.calls == [(("\ud83d",), {})]
