from redis import Redis

pytest_plugins = ["pytester"]


def test_any_redis_url_will_do(run_tests, rq_redis_url):
    other_database = rq_redis_url.removesuffix("/0") + "/9"
    result = run_tests(
        """
def test_url(async_queue, redis_connection):
    code_under_test("x")
    assert redis_connection.connection_pool.connection_kwargs["db"] == 9
    assert redis_connection.dbsize() > 0
""",
        RQ_TEST_REDIS_URL=other_database,
    )
    result.assert_outcomes(passed=1)


def test_it_is_empty_after_the_session(run_tests, rq_redis_url):
    other_database = rq_redis_url.removesuffix("/0") + "/9"
    body = "def test_it(rq_redis_for_session): assert code_under_test('x').is_queued"
    run_tests(body, RQ_TEST_REDIS_URL=other_database).assert_outcomes(passed=1)
    with Redis.from_url(other_database) as connection:
        assert connection.dbsize() == 0


def test_it_may_be_the_configured_one(run_tests, rq_redis_url):
    other_database = rq_redis_url.removesuffix("/0") + "/9"
    result = run_tests(
        """
def test_it(rq_redis):
    assert code_under_test("x").is_queued
""",
        RQ_TEST_REDIS_URL=other_database,
        RQ_REDIS_URL=other_database,
    )
    result.assert_outcomes(passed=1)


def test_a_database_with_something_in_it_is_not_emptied(run_tests, rq_redis_url, redis_connection):
    redis_connection.set("precious", 1)
    result = run_tests("def test_it(async_queue): pass", RQ_TEST_REDIS_URL=rq_redis_url)
    result.stdout.fnmatch_lines(["*names a database with 1 keys, and tests empty it*"])
    assert redis_connection.get("precious") == b"1"


IN_TWO_PROCESSES = """
import pytest

@pytest.mark.parametrize("number", range(20))
def test_it(redis_connection, number):
    assert redis_connection.dbsize() == 0
    code_under_test("x")
    assert redis_connection.incr("alone") == 1
"""


def test_each_process_of_xdist_has_a_redis_of_its_own(run_tests):
    run_tests(IN_TWO_PROCESSES, "-n", "2").assert_outcomes(passed=20)


def test_processes_of_xdist_may_not_share_a_redis(run_tests, rq_redis_url):
    result = run_tests(IN_TWO_PROCESSES, "-n", "2", RQ_TEST_REDIS_URL=rq_redis_url)
    result.assert_outcomes(errors=20)
    result.stdout.fnmatch_lines(["*RQ_TEST_REDIS_URL names one database*run with -n 0*"])
