"""Declares cron entries and claims their slots, for tests."""

from datetime import UTC, datetime, timedelta

from scheduler import job_scheduler
from scheduler.cron.store.registry import declaring
from tests.jobs import Recorder

NOW = datetime.now(UTC)
EARLIER = NOW - timedelta(minutes=3)


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
