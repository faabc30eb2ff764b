import pytest

pytest_plugins = ["pytester"]

CODE = """
from scheduler import SHORT_RUNNING_QUEUE, job_scheduler
from tests.jobs import Recorder, code_under_test, fail, schedule_another
"""


def run(pytester, body, *options, **env):
    pytester.makepyfile(CODE + body)
    pytester.makeconftest("")
    for name, value in env.items():
        pytester._monkeypatch.setenv(name, value)
    return pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", *options)


@pytest.fixture(autouse=True)
def _own_process(pytester, monkeypatch, pytestconfig):
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))
    monkeypatch.delenv("RQ_TEST_REDIS_URL", raising=False)
    monkeypatch.delenv("RQ_REDIS_URL", raising=False)


@pytest.mark.usefixtures("either_serializer")
def test_jobs_stay_queued_without_a_fixture_and_run_with_async_queue(pytester):
    result = run(
        pytester,
        """
def test_stays_queued(queue):
    job = code_under_test("queued")
    assert Recorder.calls == []
    assert queue.queued_count(SHORT_RUNNING_QUEUE) == 1

def test_without_any_fixture():
    assert code_under_test("queued").is_queued
    assert Recorder.calls == []

def test_runs_at_once(async_queue):
    job = code_under_test("ran")
    assert Recorder.calls == [(("ran",), {})]
    assert job.is_finished

def test_a_job_that_schedules_another(async_queue):
    Recorder.calls.clear()
    job_scheduler(schedule_another)
    assert Recorder.calls == [(("inner",), {})]

def test_a_failing_job_fails_as_in_a_worker(async_queue):
    job_scheduler(fail, max_retries=1)
    assert async_queue.failed_count(SHORT_RUNNING_QUEUE) == 1

def test_nothing_is_left_of_the_tests_before(async_queue):
    assert async_queue.failed_count(SHORT_RUNNING_QUEUE) == 0
    assert async_queue.queued_count(SHORT_RUNNING_QUEUE) == 0

def test_by_hand(async_queue):
    Recorder.calls.clear()
    async_queue.enqueue("q", Recorder.record, 1)
    assert Recorder.calls == []
    async_queue.work("q")
    assert Recorder.calls == [((1,), {})]
""",
    )
    result.assert_outcomes(passed=7)


def test_any_redis_url_will_do(pytester, rq_redis_url):
    other_database = rq_redis_url.removesuffix("/0") + "/9"
    result = run(
        pytester,
        """
def test_url(async_queue, redis_connection):
    code_under_test("x")
    assert redis_connection.connection_pool.connection_kwargs["db"] == 9
    assert redis_connection.dbsize() > 0
""",
        RQ_TEST_REDIS_URL=other_database,
    )
    result.assert_outcomes(passed=1)


def test_a_database_with_something_in_it_is_not_emptied(pytester, rq_redis_url, redis_connection):
    redis_connection.set("precious", 1)
    result = run(pytester, "def test_it(async_queue): pass", RQ_TEST_REDIS_URL=rq_redis_url)
    result.stdout.fnmatch_lines(["*names a database with 1 keys, and tests empty it*"])
    assert redis_connection.get("precious") == b"1"


def test_a_production_url_in_the_environment_is_left_alone(pytester, rq_redis_url, redis_connection):
    result = run(pytester, "def test_it(): code_under_test('x')", RQ_REDIS_URL=rq_redis_url)
    result.assert_outcomes(passed=1)
    assert redis_connection.dbsize() == 0


IN_TWO_PROCESSES = """
import pytest

@pytest.mark.parametrize("number", range(20))
def test_it(redis_connection, number):
    assert redis_connection.dbsize() == 0
    code_under_test("x")
    assert redis_connection.incr("alone") == 1
"""


def test_each_process_of_xdist_has_a_redis_of_its_own(pytester):
    run(pytester, IN_TWO_PROCESSES, "-n", "2").assert_outcomes(passed=20)


def test_processes_of_xdist_may_not_share_a_redis(pytester, rq_redis_url):
    result = run(pytester, IN_TWO_PROCESSES, "-n", "2", RQ_TEST_REDIS_URL=rq_redis_url)
    result.assert_outcomes(errors=20)
    result.stdout.fnmatch_lines(["*RQ_TEST_REDIS_URL names one database*run with -n 0*"])
