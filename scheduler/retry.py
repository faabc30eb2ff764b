"""Backoff intervals, RQ's Retry made of them, and retrying a call in place."""

import logging
import math
import random
import time
from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from rq import Repeat, Retry

from scheduler.durations import YEAR_SECONDS, is_number
from scheduler.errors import RetryError

T = TypeVar("T")

_log = logging.getLogger(__name__)


def exponential_backoff_intervals(
    max_retries: int,
    start: float,
    factor: float = 2,
    cap_seconds: float | None = None,
    jitter: float | None = None,
) -> list[int]:
    """Return the seconds to wait before each retry: start, start * factor, start * factor ** 2 and so on.

    Args:
        max_retries: How many intervals.
        start: The first interval in seconds, above 0.
        factor: The ratio of each interval to the one before, at least 1.
        cap_seconds: The longest interval.
        jitter: A share from 0 to 1: each interval is drawn from [interval * (1 - jitter), interval], so that
            jobs that failed together are not retried together.

    Returns:
        Whole seconds, rounded up; RQ schedules to the second.

    Raises:
        RetryError: A value is out of its range, or an interval is longer than a year.
    """
    if not _is_count(max_retries):
        raise RetryError(f"max_retries is {max_retries!r}: use a whole number from 0, or None for no retry")
    if not is_number(start) or start <= 0:
        raise RetryError(f"The backoff starts at {start!r} s: use a number above 0")
    if not is_number(factor) or factor < 1:
        raise RetryError(f"factor is {factor!r}: use 1 or more")
    if cap_seconds is not None and not (is_number(cap_seconds) and cap_seconds > 0):
        raise RetryError(f"cap_seconds is {cap_seconds!r}: use a number above 0")
    if jitter is not None and not (is_number(jitter) and 0 <= jitter <= 1):
        raise RetryError(f"jitter is {jitter!r}: use a share from 0 to 1")
    intervals = []
    interval = start
    for attempt in range(max_retries):
        if cap_seconds is not None:
            interval = min(interval, cap_seconds)
        if interval > YEAR_SECONDS:
            raise RetryError(
                f"Retry {attempt + 1} would wait longer than a year: give cap_seconds or fewer retries"
            )
        shortened = jitter * random.random() if jitter else 0  # noqa: S311 (spreads load, guards nothing)
        intervals.append(math.ceil(interval * (1 - shortened)))
        interval *= factor
    return intervals


def retry_backoff_intervals(
    max_retries: int,
    retry_backoff: bool | float,
    is_backoff_an_int: bool = False,  # noqa: ARG001 (the origin's callers pass it; `retry_backoff` says it)
) -> list[int] | Literal[0]:
    """Return the seconds before each retry for `job_scheduler`'s `retry_backoff`; 0 if it is off.

    Raises:
        RetryError: As `exponential_backoff_intervals`.
    """
    if not retry_backoff:
        return 0
    return exponential_backoff_intervals(max_retries, 1 if retry_backoff is True else retry_backoff)


def build_retry(
    max_retries: int | None, *, retry_backoff: bool | float, retry_intervals: int | Iterable[int]
) -> Retry | None:
    """Return RQ's Retry for `job_scheduler`'s three retry arguments.

    Args:
        max_retries: None or 0 means no retry.
        retry_backoff: True doubles from 1 s, a number doubles from that many seconds; with False or 0
            `retry_intervals` applies.
        retry_intervals: Seconds before every retry, or a list, one before each.

    Raises:
        RetryError: A number is negative, not a number, or longer than a year, or the list is empty.
    """
    if max_retries is not None and not _is_count(max_retries):
        raise RetryError(f"max_retries is {max_retries!r}: use a whole number from 0, or None for no retry")
    if not isinstance(retry_backoff, bool) and not (is_number(retry_backoff) and retry_backoff >= 0):
        raise RetryError(f"retry_backoff is {retry_backoff!r}: use True, or the first interval in seconds")
    intervals = list(retry_intervals) if isinstance(retry_intervals, Iterable) else [retry_intervals]
    if not all(can_wait(interval) for interval in intervals):
        raise RetryError(f"retry_intervals is {retry_intervals!r}: use seconds, from 0 to {YEAR_SECONDS}")
    if not max_retries:
        return None
    if retry_backoff:
        return Retry(max=max_retries, interval=retry_backoff_intervals(max_retries, retry_backoff))
    if not intervals:
        raise RetryError(f"retry_intervals is {retry_intervals!r}: give one wait or more, or use 0")
    return Retry(max=max_retries, interval=intervals)


def can_wait(interval: object) -> bool:
    """Whether a retry can wait that long: seconds from 0 to a year."""
    return is_number(interval) and 0 <= interval <= YEAR_SECONDS  # type: ignore[operator]  # it is a number


def check_retry(retry: object) -> None:
    """Refuse a retry whose time never comes: RQ would fail when the job fails, and the worker with it.

    Raises:
        RetryError: It is neither an `rq.Retry` nor None, or its numbers are out of range.
    """
    if retry is None:
        return
    if not isinstance(retry, Retry):
        raise RetryError(f"retry is {retry!r}: use an rq.Retry")
    waits = bool(retry.intervals) and all(can_wait(interval) for interval in retry.intervals)
    if not _is_count(retry.max) or not waits:
        raise RetryError(
            f"retry is {retry!r}: use a whole number of retries, and one or more intervals from 0 to "
            f"{YEAR_SECONDS} s"
        )


def check_repeat(repeat: object) -> None:
    """Refuse a repeat whose time never comes.

    Raises:
        RetryError: It is neither an `rq.Repeat` nor None, or an interval is out of range.
    """
    if repeat is None:
        return
    if not isinstance(repeat, Repeat) or not all(can_wait(interval) for interval in repeat.intervals):
        raise RetryError(f"repeat is {repeat!r}: use an rq.Repeat with intervals from 0 to {YEAR_SECONDS} s")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def retry_with_backoff(fn: Callable[[], T], retries: int = 5, backoff_in_seconds: float = 1) -> T:
    """Call `fn` until it returns, waiting longer after each failure; the caller is blocked meanwhile.

    Args:
        fn: Called without arguments.
        retries: How many times to try again after the first failure.
        backoff_in_seconds: The first wait; each later one is twice as long as the one before.

    Returns:
        What `fn` returns.

    Raises:
        RetryError: A number is negative or not a number, or the last wait would be longer than a year.
        Exception: The error that `fn` raised on its last try.
    """
    if not _is_count(retries):
        raise RetryError(f"retries is {retries!r}: use a whole number from 0")
    if not is_number(backoff_in_seconds) or backoff_in_seconds < 0:
        raise RetryError(f"backoff_in_seconds is {backoff_in_seconds!r}: use seconds, 0 or more")
    # By logarithm: two to the power of many retries does not fit into a float.
    if (
        retries
        and backoff_in_seconds
        and retries - 1 + math.log2(backoff_in_seconds) > math.log2(YEAR_SECONDS)
    ):
        raise RetryError(
            f"The last of {retries} waits that begin at {backoff_in_seconds} s is longer than a year: "
            "use fewer retries"
        )
    for attempt in range(retries):
        try:
            return fn()
        except Exception as error:  # noqa: BLE001 (any error of fn is retried)
            wait_seconds = backoff_in_seconds * 2**attempt
            _log.info(
                "retrying",
                extra={
                    "error": type(error).__name__,
                    "attempt": attempt + 1,
                    "wait_seconds": wait_seconds,
                },
            )
            time.sleep(wait_seconds)
    return fn()
