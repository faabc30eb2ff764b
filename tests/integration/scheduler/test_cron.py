import threading
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from scheduler import Scheduler, job_scheduler
from scheduler.cron.constants import EVERY_HOUR, EVERY_MINUTE
from scheduler.cron.registry import CronRegistry, declaring
from tests.jobs import Recorder, fail, pid

NOW = datetime.now(UTC)


@pytest.fixture
def registry(redis_connection):
    return CronRegistry(redis_connection)


def declare(registry, *crons, now=NOW):
    with declaring() as entries:
        for cron, kwargs in crons:
            job_scheduler(Recorder.record, cron=cron, **kwargs)
    return registry.reconcile(entries, now=now)


def test_registering_twice_is_registering_once(queue):
    first = job_scheduler(pid, cron=EVERY_MINUTE)
    again = job_scheduler(pid, cron=EVERY_MINUTE)
    assert first == again
    assert queue.cron_job_count() == 1


def test_registering_again_keeps_the_next_slot(queue, registry, redis_connection):
    declare(registry, (EVERY_HOUR, {}), now=NOW - timedelta(days=1))
    due = registry.next_due()
    declare(registry, (EVERY_HOUR, {}))
    assert registry.next_due() == due < NOW


def test_reconciling_adds_changes_removes_and_keeps(registry):
    one, two = (EVERY_HOUR, {"cron_id": "one"}), (EVERY_HOUR, {"cron_id": "two"})
    assert declare(registry, one, two).added == ("one", "two")
    changed = (EVERY_MINUTE, {"cron_id": "two"})
    result = declare(registry, changed, ("5 * * * *", {"cron_id": "three"}))
    assert (result.added, result.changed, result.removed) == (("three",), ("two",), ("one",))
    assert declare(registry, changed, ("5 * * * *", {"cron_id": "three"})).unchanged == ("two", "three")
    assert [entry.id for entry in registry.entries()] == ["three", "two"]


def test_a_changed_cron_gets_a_new_next_slot(registry):
    declare(registry, (EVERY_HOUR, {"cron_id": "x"}))
    declare(registry, (EVERY_MINUTE, {"cron_id": "x"}))
    assert registry.next_due() - NOW <= timedelta(minutes=1)


def test_reconciling_leaves_entries_registered_elsewhere(registry, queue):
    elsewhere = job_scheduler(pid, cron=EVERY_HOUR)
    declare(registry, (EVERY_MINUTE, {}))
    assert declare(registry).removed
    assert registry.entries() == [elsewhere]


def test_a_due_slot_becomes_one_job_with_its_retries(registry, queue):
    job_scheduler(fail, cron=EVERY_MINUTE, queue_name="q", max_retries=2, retry_backoff=5, job_timeout=9)
    later = registry.next_due() + timedelta(seconds=3)
    [claim] = registry.claim_due(now=later)
    assert claim.lateness_seconds == pytest.approx(3)
    assert registry.claim_due(now=later) == []
    job = queue.job(claim.job_id)
    assert (job.origin, job.timeout, job.retries_left, job.retry_intervals) == ("q", 9, 2, [5, 10])
    assert queue.queued_count("q") == 1
    assert later < registry.next_due() <= later + timedelta(minutes=1)


def test_slots_missed_while_nobody_ran_become_one_job(registry, queue):
    job_scheduler(pid, cron=EVERY_MINUTE, queue_name="q")
    assert len(registry.claim_due(now=NOW + timedelta(hours=5))) == 1
    assert queue.queued_count("q") == 1


def test_many_processes_claim_each_slot_once(registry, queue, rq_redis_url):
    for n in range(250):
        job_scheduler(Recorder.record, (n,), cron=EVERY_MINUTE, queue_name="q")
    now, claims = registry.next_due(), []

    def claim_all():
        own = CronRegistry(Redis.from_url(rq_redis_url))
        while own.next_due() <= now:
            claims.extend(own.claim_due(now=now))

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert queue.queued_count("q") == 250
    assert len({claim.entry_id for claim in claims}) == len(claims) == 250


def test_a_cron_of_a_bound_method_is_refused(queue):
    class Thing:
        def method(self):
            pass

    Thing.method.__qualname__ = "Thing.method"
    with pytest.raises(Exception, match="bound to an object"):
        Scheduler().cron("q", EVERY_MINUTE, Thing().method)
