"""What every cron test uses: the registry of its Redis, and a claimer."""

import pytest

from scheduler.cron.claims import Claimer
from scheduler.cron.store.registry import CronRegistry


@pytest.fixture
def registry(redis_connection):
    return CronRegistry(redis_connection)


@pytest.fixture
def claimer(redis_connection):
    return Claimer(redis_connection)
