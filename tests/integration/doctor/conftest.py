"""A queue, and what `rqmon why` says of its jobs."""

import pytest
from rq import Queue

from rqmon.why import lookup
from rqmon.why.answers import answer


@pytest.fixture
def queue(redis_connection):
    return Queue("q", connection=redis_connection)


@pytest.fixture
def why(redis_connection):
    def ask(job_id):
        return answer(lookup.take(redis_connection, job_id, serializer="pickle", has_stack=False))

    return ask
