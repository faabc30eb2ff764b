"""Checks of the seconds given to a job: what RQ, Redis or a date can't take is refused at once."""

import math
from collections.abc import Mapping
from typing import Any

from rq.exceptions import TimeoutFormatError
from rq.utils import parse_timeout

from scheduler.errors import SchedulerError

YEAR_SECONDS = 365 * 24 * 3600
# Later than any job is meant to run or be kept; Redis and datetime can store it.
CENTURY_SECONDS = 100 * YEAR_SECONDS

# How long RQ keeps things, and the least it accepts; -1 is for ever.
_KEPT = {"result_ttl": -1, "failure_ttl": -1, "ttl": 1}


def is_number(value: object) -> bool:
    """Whether a value is a finite number, and not a bool."""
    if isinstance(value, int):
        return not isinstance(value, bool)
    return isinstance(value, float) and math.isfinite(value)


def is_whole(value: object) -> bool:
    """Whether a value is a whole number: 60 or 60.0."""
    return is_number(value) and value == int(value)  # type: ignore[call-overload]  # it is a number


def is_timeout(timeout: Any, *, longest_seconds: int) -> bool:
    """Whether RQ accepts it: seconds from 1, -1 for no limit, a string such as "1h", or None."""
    if timeout is None:
        return True
    if not isinstance(timeout, str) and not (is_number(timeout) and (timeout >= 1 or timeout == -1)):
        return False
    try:
        seconds = parse_timeout(timeout)
    except (TimeoutFormatError, OverflowError):
        return False
    return seconds is not None and (seconds == -1 or 1 <= seconds <= longest_seconds)


def check_timeout(timeout: Any) -> None:
    """Refuse a job timeout that RQ can't apply.

    Args:
        timeout: Whole seconds, -1 for no limit, a string such as "1h", or None for RQ's default.

    Raises:
        SchedulerError: It is none of these, 0, negative, or longer than a year.
    """
    is_one = timeout is None or isinstance(timeout, str) or is_whole(timeout)
    if not is_one or not is_timeout(timeout, longest_seconds=YEAR_SECONDS):
        raise SchedulerError(
            f"job_timeout is {timeout!r}: use whole seconds above 0 and up to a year, a string such as '1h', "
            "or -1 for no limit"
        )


def check_kept(options: Mapping[str, Any]) -> None:
    """Refuse a `result_ttl`, `failure_ttl` or `ttl` that Redis can't store.

    Raises:
        SchedulerError: One is not a whole number of seconds, negative, or longer than a century.
    """
    for name, least in _KEPT.items():
        seconds = options.get(name)
        if seconds is not None and not (is_whole(seconds) and least <= seconds <= CENTURY_SECONDS):
            raise SchedulerError(
                f"{name} is {seconds!r}: use whole seconds from {max(least, 0)} to {CENTURY_SECONDS}"
                + (", or -1 for ever" if least == -1 else "")
            )
