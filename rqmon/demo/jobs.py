"""The jobs that come with the bundle: for the health check, the load test and the demo."""

import logging
import time
from datetime import UTC, datetime

from redis import Redis
from rq import get_current_job

from scheduler import RateLimit, TooManyRequests

# The load test's own limit: a fork worker runs 25 or more such jobs a second, so it reaches the limit.
LOAD_TEST_REQUESTS, LOAD_TEST_SECONDS = 10, 1

_log = logging.getLogger(__name__)


class DemoError(Exception):
    """A demo job failed on purpose."""


def queue_health_check() -> str:
    """Prove that a queue's worker runs jobs; return the time, as ISO 8601 in UTC."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _log.info("queue_health_check", extra={"ran_at": now})
    return now


def load_test_key(run_id: str) -> str:
    """Return the key of the hash that counts how a load test's jobs ended."""
    return f"rqmon:load-test:{run_id}"


def rate_limited(run_id: str) -> None:
    """Be one job of a load test: take one request from the limit, and count the outcome.

    Raises:
        TooManyRequests: The limit was reached; the job fails.
    """
    connection = _connection()
    key = load_test_key(run_id)
    try:
        with RateLimit("load-test", run_id, LOAD_TEST_REQUESTS, LOAD_TEST_SECONDS, connection=connection):
            connection.hincrby(key, "succeeded", 1)
    except TooManyRequests:
        connection.hincrby(key, "failed", 1)
        raise


def report_load_test(run_id: str, generated: int) -> dict[str, int]:
    """Log and return how many of a load test's jobs succeeded, failed, and still run."""
    connection = _connection()
    counted = {k.decode(): int(v) for k, v in connection.hgetall(load_test_key(run_id)).items()}  # type: ignore[union-attr]  # redis-py types each answer as awaitable too
    succeeded, failed = counted.get("succeeded", 0), counted.get("failed", 0)
    report = {
        "generated": generated,
        "succeeded": succeeded,
        "failed": failed,
        "running": generated - succeeded - failed,
    }
    _log.info("load_test_report", extra={"run_id": run_id, **report})
    return report


def work_for(seconds: float) -> None:
    """Sleep for that many seconds."""
    time.sleep(seconds)


def fail() -> None:
    """Fail.

    Raises:
        DemoError: Always.
    """
    raise DemoError("this demo job fails on purpose")


def fail_once() -> None:
    """Fail on the first run, succeed on the retry.

    Raises:
        DemoError: On the first run.
    """
    job = get_current_job()
    if job is not None and not job.meta.get("failed_once"):
        job.meta["failed_once"] = True
        job.save_meta()  # type: ignore[no-untyped-call]  # rq leaves it untyped
        raise DemoError("this demo job succeeds when it is retried")


def call_third_party() -> None:
    """Call a service that allows ten calls in twenty seconds; even on a slow machine the demo makes more.

    Raises:
        TooManyRequests: The limit was reached.
    """
    with RateLimit("demo-third-party", "demo", 10, 20, connection=_connection()):
        time.sleep(0.02)


def _connection() -> Redis:
    job = get_current_job()
    if job is None:
        raise RuntimeError("this function is a job: queue it")
    return job.connection
