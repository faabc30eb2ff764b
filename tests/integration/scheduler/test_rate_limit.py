import time

import pytest

from scheduler import RateLimit, SchedulerError, TooManyRequests


def admitted(limit: RateLimit, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            with limit:
                count += 1
        except TooManyRequests:
            pass
    return count


def test_no_window_admits_more_than_the_limit(redis_connection):
    limit = RateLimit("api", "me", 50, 1, connection=redis_connection)
    times = []
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        try:
            with limit:
                times.append(time.time())
        except TooManyRequests:
            pass
    # Redis stamps a request a little before the caller does: compare windows 50 ms shorter.
    busiest = max(sum(start <= t < start + 0.95 for t in times) for start in times)
    assert busiest <= 50
    assert len(times) >= 100


def test_each_client_has_the_whole_limit(redis_connection):
    assert admitted(RateLimit("api", "a", 3, 60, connection=redis_connection), 10) == 3
    assert admitted(RateLimit("api", "b", 3, 60, connection=redis_connection), 10) == 3
    assert admitted(RateLimit("api", "a", 3, 60, connection=redis_connection), 10) == 0


def test_the_refusal_names_resource_client_and_limit(redis_connection):
    limit = RateLimit("dnb", "importer", 1, 30, connection=redis_connection)
    with limit:
        pass
    with pytest.raises(TooManyRequests, match="dnb allows importer 1 requests in 30 s"), limit:
        pass


def test_the_shared_connection_is_the_default(redis_connection):
    assert admitted(RateLimit("api", "c", 2), 5) == 2


@pytest.mark.parametrize(("max_requests", "expire"), [(0, 1), (-1, 1), (1, 0)])
def test_a_limit_below_one_is_refused(max_requests, expire, redis_connection):
    with pytest.raises(SchedulerError, match="use whole numbers from 1"):
        RateLimit("r", "c", max_requests, expire)
