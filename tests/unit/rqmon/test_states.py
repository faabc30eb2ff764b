from rq.job import JobStatus
from rq.worker import WorkerStatus

from rqmon import states
from scheduler.cron.entries import Outcome
from scheduler.ledger.jobs import JobOutcome
from scheduler.ledger.rate_limits import RateLimitOutcome

# The first two have no registry; the registries of rq 3's own rate limits are not shown yet.
NOT_KEPT = {"created", "stopped", "rate_limited", "ready_to_enqueue"}


def test_the_statuses_of_jobs_and_the_states_of_workers_are_those_of_rq() -> None:
    assert {*states.JOB_STATUSES, states.CANCELED} == {*JobStatus} - NOT_KEPT
    assert set(states.WORKER_STATES) == {*WorkerStatus}


def test_the_outcomes_are_those_that_the_ledger_counts() -> None:
    assert list(JobOutcome) == list(states.JOB_OUTCOMES)
    assert tuple(Outcome) == states.CRON_OUTCOMES
    assert tuple(RateLimitOutcome) == states.RATE_LIMIT_OUTCOMES
