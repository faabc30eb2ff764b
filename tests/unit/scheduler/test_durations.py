"""Seconds that RQ, Redis or a date can't take."""

import pytest

from scheduler.durations import CENTURY_SECONDS, YEAR_SECONDS, check_kept, check_timeout
from scheduler.errors import SchedulerError


@pytest.mark.parametrize("timeout", [None, 1, 180, 60.0, YEAR_SECONDS, -1, "1h", "90", "2D", "-1"])
def test_a_time_that_a_job_may_run_is_taken(timeout):
    check_timeout(timeout)


@pytest.mark.parametrize(
    "timeout",
    [
        *(0, -5, 0.5, 90.5, True, float("nan"), float("inf"), 10**12, 10**400, b"60", (60,)),
        *("", "0", "0h", "x", "1y", "-2h", "1.5h", "\ud800", "9" * 5000),
    ],
)
def test_a_time_that_no_job_can_run_is_refused(timeout):
    with pytest.raises(SchedulerError, match=r"job_timeout is .*: use"):
        check_timeout(timeout)


@pytest.mark.parametrize("name", ["result_ttl", "failure_ttl"])
@pytest.mark.parametrize("seconds", [None, -1, 0, 500, 60.0, CENTURY_SECONDS])
def test_how_long_a_job_is_kept_is_taken(name, seconds):
    check_kept({name: seconds})


@pytest.mark.parametrize("name", ["result_ttl", "failure_ttl", "ttl"])
@pytest.mark.parametrize("seconds", [-2, 0.5, True, float("nan"), float("inf"), 10**12, 10**400, "60"])
def test_what_redis_can_t_keep_is_refused(name, seconds):
    with pytest.raises(SchedulerError, match=rf"{name} is .*: use"):
        check_kept({name: seconds})


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_job_can_t_wait_for_no_time(seconds):
    with pytest.raises(SchedulerError, match=r"ttl is .*: use"):
        check_kept({"ttl": seconds})
