"""Backoff intervals, what RQ retries with, and retrying a call in place."""

import logging
import math
import random
import time
from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from rq import Retry

from scheduler.errors import RetryError

T = TypeVar("T")

_YEAR_SECONDS = 365 * 24 * 3600

_log = logging.getLogger(__name__)


def exponential_backoff_intervals(
    max_retries: int,
    start: float,
    factor: float = 2,
    cap_seconds: float | None = None,
    jitter: float | None = None,
) -> list[int]:
    """Seconds to wait before each retry: start, start * factor, start * factor ** 2 and so on.

    Args:
        max_retries: How many intervals.
        start: The first interval in seconds, above 0.
        factor: What each interval is multiplied by for the next, at least 1.
        cap_seconds: No interval is longer than this.
        jitter: A share from 0 to 1: each interval is drawn from [interval * (1 - jitter), interval],
            so that jobs that failed together do not come back together.

    Returns:
        Whole seconds, rounded up; RQ schedules to the second.

    Raises:
        RetryError: A value is out of its range, or an interval is longer than a year.
    """
    if max_retries < 0:
        raise RetryError(f"max_retries is {max_retries}: use 0 or more, or None for no retry")
    if start <= 0:
        raise RetryError(f"The backoff starts at {start} s: use a number above 0")
    if factor < 1:
        raise RetryError(f"factor is {factor}: use 1 or more")
    if cap_seconds is not None and cap_seconds <= 0:
        raise RetryError(f"cap_seconds is {cap_seconds}: use a number above 0")
    if jitter is not None and not 0 <= jitter <= 1:
        raise RetryError(f"jitter is {jitter}: use a share from 0 to 1")
    intervals = []
    interval = start
    for attempt in range(max_retries):
        if cap_seconds is not None:
            interval = min(interval, cap_seconds)
        if interval > _YEAR_SECONDS:
            raise RetryError(
                f"Retry {attempt + 1} would wait more than a year: give cap_seconds or fewer retries"
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
    """Seconds to wait before each retry, as `job_scheduler`'s `retry_backoff` means them; 0 when it is off.

    Raises:
        RetryError: As `exponential_backoff_intervals`.
    """
    if not retry_backoff:
        return 0
    return exponential_backoff_intervals(max_retries, 1 if retry_backoff is True else retry_backoff)


def build_retry(
    max_retries: int | None, *, retry_backoff: bool | float, retry_intervals: int | Iterable[int]
) -> Retry | None:
    """What RQ takes for `job_scheduler`'s three retry arguments.

    Args:
        max_retries: None or 0 means no retry.
        retry_backoff: True doubles from 1 s, a number doubles from that many seconds, False or 0
            leaves `retry_intervals` in force.
        retry_intervals: Seconds before every retry, or a list, one before each.

    Raises:
        RetryError: A number is negative, or not a number.
    """
    if max_retries is not None and not isinstance(max_retries, int):
        raise RetryError(f"max_retries is {max_retries!r}: use a whole number, or None for no retry")
    if not isinstance(retry_backoff, int | float) or not math.isfinite(retry_backoff):
        raise RetryError(f"retry_backoff is {retry_backoff!r}: use True, or the first interval in seconds")
    if max_retries is not None and max_retries < 0:
        raise RetryError(f"max_retries is {max_retries}: use 0 or more, or None for no retry")
    if retry_backoff < 0:
        raise RetryError(f"retry_backoff is {retry_backoff}: use True, or the first interval in seconds")
    intervals = list(retry_intervals) if isinstance(retry_intervals, Iterable) else [retry_intervals]
    if any(not isinstance(interval, int | float) or not 0 <= interval < math.inf for interval in intervals):
        raise RetryError(f"retry_intervals is {retry_intervals!r}: use seconds, 0 or more")
    if not max_retries:
        return None
    if retry_backoff:
        return Retry(max=max_retries, interval=retry_backoff_intervals(max_retries, retry_backoff))
    return Retry(max=max_retries, interval=intervals)


def retry_with_backoff(fn: Callable[[], T], retries: int = 5, backoff_in_seconds: float = 1) -> T:
    """Call `fn` until it returns, waiting longer after each failure; it blocks the caller meanwhile.

    Args:
        fn: Called without arguments.
        retries: How many times to try again after the first failure.
        backoff_in_seconds: The first wait; each further one is twice as long.

    Returns:
        What `fn` returns.

    Raises:
        RetryError: A number is negative.
        Exception: What `fn` raised on its last try.
    """
    if retries < 0 or backoff_in_seconds < 0:
        raise RetryError(f"retries is {retries}, backoff_in_seconds {backoff_in_seconds}: use 0 or more")
    for attempt in range(retries):
        try:
            return fn()
        except Exception as error:  # noqa: BLE001 (whatever fn raises is what it retries)
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
