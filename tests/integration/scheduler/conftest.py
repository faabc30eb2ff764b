"""What every test of the core has."""

import pytest


@pytest.fixture(autouse=True)
def _own_redis(rq_redis):
    """Each test has an empty Redis, which RQ_REDIS_URL names."""
