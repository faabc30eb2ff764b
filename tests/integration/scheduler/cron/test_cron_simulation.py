"""Two years of cron in simulated time, with the process killed between any two Redis commands."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import redis
from rq.job import Job

from scheduler import job_scheduler
from scheduler.cron.claims import Claimer
from scheduler.cron.store.registry import CronRegistry, declaring
from scheduler.ledger import cron as ledger
from tests.jobs import pid

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
ZONES = (
    "UTC",
    "Europe/London",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
)


AT_THE_TRANSACTION = "at the transaction"


class Killed(BaseException):
    """Acts like SIGKILL: nothing more is sent, and no handler runs."""


class MortalConnection(redis.Connection):
    """A connection that dies with its process, before or right after one of its next commands."""

    commands_left = None
    dies_before = True
    is_dead = False

    def send_packed_command(self, command, check_health=True):
        if self.is_dead:
            raise redis.ConnectionError("what a dead process's objects try when they are collected")
        cls = MortalConnection
        dies = False
        if cls.commands_left == AT_THE_TRANSACTION:
            dies = b"EXEC" in b"".join(command)
        elif cls.commands_left is not None:
            cls.commands_left -= 1
            dies = cls.commands_left < 0
        if not (dies and cls.dies_before):
            super().send_packed_command(command, check_health)
        if dies:
            self.is_dead = True
            raise Killed


def specs(rng):
    """Fifty entries: times of day around the clock changes, and intervals."""
    crons = ["30 1 * * *", "0 2 * * *", "15 2 * * *", "59 23 * * *", "0 */6 * * *", "*/20 1-3 * * SUN"]
    crons += ["0 3 23 * *", "30 9 1,2,3,4 * *", "0 20 * * SAT", "0 * * * *"]
    for number in range(50):
        options = {
            "cron_id": f"entry-{number}",
            "catch_up": rng.choice(("latest", "latest", "all", "skip")),
            "overlap": rng.choice(("allow", "allow", "skip")),
        }
        if number % 10 == 9:
            yield {**options, "interval_seconds": rng.choice((3600 * 5, 86400, 12345))}
        else:
            yield {**options, "cron": crons[number % 10], "timezone": ZONES[number % len(ZONES)]}


def lag(rng):
    """How long after a slot a process next looks: mostly at once, sometimes after days of downtime."""
    kind = rng.random()
    if kind < 0.5:
        return timedelta(seconds=rng.expovariate(1))
    return rng.random() * (timedelta(hours=6) if kind < 0.8 else timedelta(days=2 if kind < 0.97 else 14))


@pytest.mark.parametrize("seed", [1, 2])
def test_every_slot_of_two_years_has_one_outcome_and_no_slot_two_jobs(seed, redis_connection, rq_redis_url):
    rng = random.Random(seed)
    with declaring() as entries:
        for options in specs(rng):
            job_scheduler(pid, queue_name="q", **options)
    CronRegistry(redis_connection).reconcile(entries, now=START)

    jobs, deaths, now = Counter(), Counter(), START

    def drain():
        """Run the jobs: note their slots, and mark them done."""
        while batch := redis_connection.lpop("rq:queue:q", 500):
            ids = [id_.decode() for id_ in batch]
            for job in Job.fetch_many(ids, connection=redis_connection):
                jobs[job.meta["cron_id"], job.meta["cron_slot"]] += 1
            redis_connection.unlink(*(Job.key_for(id_) for id_ in ids))

    while now < END:
        now = max(now, Claimer(redis_connection).look().first) + lag(rng)
        # At any of a claim's commands, the last of which is its transaction.
        anywhere, rarely = rng.randrange(24), rng.random()
        at = AT_THE_TRANSACTION if rarely < 0.2 else anywhere if rarely < 0.7 else None
        MortalConnection.commands_left = at
        MortalConnection.dies_before = rng.random() < 0.5
        pool = redis.ConnectionPool.from_url(rq_redis_url, connection_class=MortalConnection)
        claimer = Claimer(redis.Redis(connection_pool=pool))
        try:
            while claimer.claim(now=now, clock=now) is not None:
                pass
        except Killed:
            deaths[at == AT_THE_TRANSACTION, MortalConnection.dies_before] += 1
        finally:
            MortalConnection.commands_left = None
            pool.disconnect()
        if rng.random() < 0.3:
            drain()
    claimer = Claimer(redis_connection)
    while claimer.claim(now=now, clock=now) is not None:
        pass
    drain()

    assert deaths.total() > 300
    assert deaths[True, True] > 20  # before the transaction
    assert deaths[True, False] > 20  # right after it
    counted = ledger.cron_outcomes(redis_connection)
    seen = Counter()
    for entry in entries:
        due = 0
        for slot in entry.schedule.after(START):
            if slot > now:
                break
            due += 1
        outcomes = counted[entry.id]
        seen.update(outcomes)
        assert sum(outcomes.values()) == due, (entry.id, outcomes, due)
        queued = sum(n for (id_, _), n in jobs.items() if id_ == entry.id)
        assert queued == outcomes.get("ran", 0) + outcomes.get("late", 0), (entry.id, outcomes)
    assert max(jobs.values()) == 1
    assert all(seen[outcome] > 100 for outcome in ("ran", "late", "missed", "skipped")), seen
