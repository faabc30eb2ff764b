"""What the commands' tests share."""

import pytest

from scheduler import job_scheduler
from tests.jobs import pid


@pytest.fixture(autouse=True)
def _own_redis(rq_redis):
    """Each test has an empty Redis, which RQ_REDIS_URL names."""


@pytest.fixture
def entry(queue):
    return job_scheduler(
        pid,
        cron="30 8 * * MON-FRI",
        timezone="Europe/London",
        cron_id="morning",
        description="Morning report",
        queue_name="q",
    )
