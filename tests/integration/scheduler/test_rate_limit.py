import time
from unittest import mock

import pytest

from scheduler import RateLimit, RateLimiter, RateLimitError, SchedulerError, TooManyRequests
from scheduler.errors import ArgumentError
from scheduler.ledger import rate_limits as ledger
from tests.servers import wait_for


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
    # Redis stamps a request a little before the caller does, so compare windows that are 50 ms shorter.
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


@pytest.mark.parametrize(
    ("max_requests", "expire"), [(0, 1), (-1, 1), (1, 0), (True, 1), ("5", 1), (5, 0.5), (None, 1)]
)
def test_a_limit_below_one_is_refused(max_requests, expire, redis_connection):
    with pytest.raises(SchedulerError, match="use whole numbers from 1"):
        RateLimit("r", "c", max_requests, expire)


@pytest.mark.parametrize("expire", [10**10, 10**18])
def test_a_window_that_redis_cant_count_is_refused(redis_connection, expire):
    with pytest.raises(RateLimitError, match="up to a century"):
        RateLimit("r", "c", 5, expire)


def test_a_name_that_redis_cant_hold_is_refused_when_it_is_given(redis_connection):
    with pytest.raises(ArgumentError, match="lone surrogate"):
        RateLimit("\ud83d", "c", 5)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda redis: redis.set(ledger.COUNTS, "no hash"),
        lambda redis: redis.hset(ledger.COUNTS, "admitted|api", "no number"),
        lambda redis: redis.hset(ledger.COUNTS, "admitted|api", 2**63 - 1),
        lambda redis: redis.set(ledger.RESOURCES, "no set"),
    ],
)
def test_a_count_that_cant_be_written_costs_no_request(redis_connection, spoil):
    spoil(redis_connection)
    limit = RateLimit("api", "me", 2, 60, connection=redis_connection)
    assert admitted(limit, 5) == 2
    assert limit.get_usage() == 2


@pytest.mark.parametrize("odd", [{"expire": 10**16}, {"redis_pool": "redis://x"}, {"resource": "\ud800"}])
def test_what_redis_could_not_take_is_refused_before_it_is_asked(odd, redis_connection):
    with pytest.raises(SchedulerError, match=": use "):
        RateLimit(**{"resource": "r", "client": "c", "max_requests": 5, **odd})


@pytest.mark.parametrize("skew_seconds", [-3600, -15, -1, 1, 15, 3600])
def test_the_clocks_of_the_hosts_change_nothing(redis_connection, skew_seconds):
    limit = RateLimit("api", "me", 5, 10, connection=redis_connection)
    clock = time.time
    assert admitted(limit, 3) == 3
    with mock.patch("time.time", side_effect=lambda: clock() + skew_seconds):
        assert admitted(limit, 5) == 2
    assert admitted(limit, 5) == 0


def test_a_redis_clock_that_was_set_back_locks_nobody_out(redis_connection):
    limit = RateLimit("api", "me", 2, 1, connection=redis_connection)
    assert admitted(limit, 2) == 2
    [key] = redis_connection.keys("rqmon:rate-limit:*")
    for index in range(2):
        redis_connection.lset(key, index, int((time.time() + 7200) * 1e6))
    assert limit.get_usage() == 2
    assert limit.get_wait_time() <= 1
    wait_for(lambda: not limit.has_been_reached(), seconds=2, what="the end of the window")
    assert admitted(limit, 5) == 2


def test_a_request_is_one_round_trip_and_is_counted(redis_connection):
    limit = RateLimit("api", "me", 2, 60, connection=redis_connection)
    assert admitted(limit, 1) == 1  # loads the script
    with mock.patch.object(
        redis_connection, "execute_command", wraps=redis_connection.execute_command
    ) as sent:
        assert admitted(limit, 3) == 1
    assert [call.args[0] for call in sent.mock_calls] == ["EVALSHA"] * 3
    assert ledger.parse(redis_connection.hgetall(ledger.COUNTS)).requests == {
        ("api", "admitted"): 2,
        ("api", "refused"): 2,
    }


def test_resources_beyond_the_first_500_are_counted_together(redis_connection):
    for number in range(503):
        with RateLimit(f"r{number}", "c", 1, 60, connection=redis_connection):
            pass
    counted = ledger.parse(redis_connection.hgetall(ledger.COUNTS)).requests
    assert len(counted) == 501
    assert (counted["r0", "admitted"], counted["other", "admitted"]) == (1, 3)
    assert admitted(RateLimit("r502", "c", 1, 60, connection=redis_connection), 1) == 0  # a limit of its own


def test_it_survives_a_script_flush_and_leaves_no_key_behind(redis_connection):
    limit = RateLimit("api", "me", 2, 1, connection=redis_connection)
    assert admitted(limit, 1) == 1
    redis_connection.script_flush()
    assert admitted(limit, 5) == 1
    wait_for(lambda: not redis_connection.keys("rqmon:rate-limit:*"), what="the end of the key")


def test_other_names_and_numbers_are_another_limit(redis_connection):
    limits = [("a", "b|c"), ("a|b", "c"), ("a_b", "c"), ("a", "b_c")]
    for resource, client in limits:
        assert admitted(RateLimit(resource, client, 1, 60, connection=redis_connection), 2) == 1
    assert admitted(RateLimit("a", "b_c", 3, 60, connection=redis_connection), 5) == 3


class TestAsPythonRedisRateLimitHasIt:
    def test_the_origins_two_uses(self, redis_connection):
        pool = redis_connection.connection_pool
        with RateLimit(resource="r", client="localhost", max_requests=5, expire=1, redis_pool=pool):
            pass
        host = ("host", ["alias"], ["127.0.0.1"])  # the answer of socket.gethostbyaddr
        with RateLimit(resource="r", client=host, max_requests=4, expire=1, redis_pool=redis_connection):
            pass
        assert redis_connection.hget(ledger.COUNTS, "admitted|r") == b"2"

    def test_positional_order_and_defaults(self, redis_connection):
        limit = RateLimit("r", "c", 2, None, redis_connection.connection_pool)
        assert (limit.increment_usage(), limit.increment_usage()) == (1, 2)
        assert limit.has_been_reached()
        wait_for(lambda: limit.get_usage() == 0, seconds=3, what="the end of a second")

    def test_as_a_decorator(self):
        calls = []

        @RateLimit("r", "c", 2, 60)
        def call(value, *, key):
            """Call."""
            calls.append((value, key))
            return value

        assert (call(1, key="a"), call(2, key="b")) == (1, 2)
        with pytest.raises(TooManyRequests):
            call(3, key="c")
        assert calls == [(1, "a"), (2, "b")]
        assert (call.__name__, call.__doc__) == ("call", "Call.")

    def test_usage_and_what_is_left(self, redis_connection):
        limit = RateLimit("r", "c", 4, 60, connection=redis_connection)
        assert (limit.get_usage(), limit.has_been_reached()) == (0, False)
        assert limit.get_wait_time() == 15  # the window divided by what is left of the limit
        with limit as usage:
            assert usage == 1
        assert limit.increment_usage(2) == 3
        assert 50 < limit.get_wait_time() <= 60
        with pytest.raises(TooManyRequests):
            limit.increment_usage(2)
        assert limit.get_usage() == 3  # all or none
        assert limit.increment_usage() == 4
        assert limit.has_been_reached()
        assert 50 < limit.get_wait_time() <= 60
        assert RateLimit("r", "c", 4, 60, connection=redis_connection).get_usage() == 4

    def test_after_the_wait_the_next_one_is_admitted(self, redis_connection):
        limit = RateLimit("r", "c", 1, 1, connection=redis_connection)
        with limit:
            pass
        time.sleep(limit.get_wait_time())
        with limit:
            pass

    @pytest.mark.parametrize("increment_by", [0, -1, 3, 1.5, True])
    def test_an_increment_that_never_fits_is_a_value_error(self, redis_connection, increment_by):
        with pytest.raises(ValueError, match="use 1 to 2, which is max_requests"):
            RateLimit("r", "c", 2, connection=redis_connection).increment_usage(increment_by)

    def test_each_client_of_a_limiter_has_a_limit(self, redis_connection):
        limiter = RateLimiter(resource="r", max_requests=1, expire=60, redis_pool=redis_connection)
        with limiter.limit(client="a"), limiter.limit(client="b"):
            pass
        with pytest.raises(TooManyRequests), limiter.limit("a"):
            pass

    def test_pool_and_connection_together_are_refused(self, redis_connection):
        with pytest.raises(RateLimitError, match="give one"):
            RateLimit("r", "c", 1, 1, redis_connection, connection=redis_connection)


def test_one_that_is_made_while_modules_are_imported_goes_where_it_is_used(redis_connection, monkeypatch):
    with monkeypatch.context() as before:
        before.setenv("RQ_REDIS_URL", "no url yet")
        limited = RateLimit("api", "me", max_requests=2)(lambda: "called")
    assert limited() == "called"
    assert redis_connection.keys("rqmon:rate-limit:*")
