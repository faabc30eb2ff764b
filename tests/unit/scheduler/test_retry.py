import pytest
from rq import Retry

from scheduler import RetryError, exponential_backoff_intervals, retry_backoff_intervals, retry_with_backoff
from scheduler.retry import build_retry, check_retry


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"max_retries": 5, "start": 1}, [1, 2, 4, 8, 16]),
        ({"max_retries": 3, "start": 60}, [60, 120, 240]),
        ({"max_retries": 4, "start": 1, "factor": 3}, [1, 3, 9, 27]),
        ({"max_retries": 5, "start": 30, "cap_seconds": 100}, [30, 60, 100, 100, 100]),
        ({"max_retries": 3, "start": 0.3}, [1, 1, 2]),
        ({"max_retries": 0, "start": 1}, []),
        ({"max_retries": 2000, "start": 1, "cap_seconds": 5}, [1, 2, 4] + [5] * 1997),
    ],
)
def test_intervals_are_exponential(kwargs, expected):
    assert exponential_backoff_intervals(**kwargs) == expected


def test_intervals_by_the_origins_name():
    assert retry_backoff_intervals(max_retries=2, retry_backoff=False, is_backoff_an_int=False) == 0
    assert retry_backoff_intervals(3, True, False) == [1, 2, 4]
    assert retry_backoff_intervals(3, 60, True) == [60, 120, 240]


def test_jitter_only_shortens_and_spreads():
    drawn = [exponential_backoff_intervals(1, 1000, jitter=0.5)[0] for _ in range(200)]
    assert all(500 <= interval <= 1000 for interval in drawn)
    assert len(set(drawn)) > 50


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"max_retries": -1, "start": 1}, "max_retries is -1"),
        ({"max_retries": 1, "start": 0}, "starts at 0"),
        ({"max_retries": 1, "start": -5}, "starts at -5"),
        ({"max_retries": 1, "start": 1, "factor": 0.5}, "factor is 0.5"),
        ({"max_retries": 1, "start": 1, "cap_seconds": 0}, "cap_seconds is 0"),
        ({"max_retries": 1, "start": 1, "jitter": 2}, "jitter is 2"),
        ({"max_retries": 2000, "start": 1}, "give cap_seconds"),
    ],
)
def test_intervals_name_the_bad_value(kwargs, named):
    with pytest.raises(RetryError, match=named):
        exponential_backoff_intervals(**kwargs)


@pytest.mark.parametrize(
    ("max_retries", "backoff", "intervals", "expected"),
    [
        (3, False, 0, (3, [0])),
        (3, True, 0, (3, [1, 2, 4])),
        (3, 1, 0, (3, [1, 2, 4])),
        (2, 60, 0, (2, [60, 120])),
        (5, True, 30, (5, [1, 2, 4, 8, 16])),
        (3, False, [30, 60, 90], (3, [30, 60, 90])),
        (3, False, 7, (3, [7])),
        (None, True, 0, None),
        (0, False, 0, None),
        (None, False, [], None),
        (2, True, [], (2, [1, 2])),
    ],
)
def test_retry_arguments_become_an_rq_retry(max_retries, backoff, intervals, expected):
    retry = build_retry(max_retries, retry_backoff=backoff, retry_intervals=intervals)
    assert (retry and (retry.max, retry.intervals)) == expected


@pytest.mark.parametrize(
    ("max_retries", "backoff", "intervals"),
    [
        (2.5, True, 0),
        (3, float("nan"), 0),
        (3, False, None),
        (3, False, float("inf")),
        (-1, False, 0),
        (3, -2, 0),
        (3, False, -1),
        (3, False, [1, -1]),
        ("3", False, 0),
        (3, False, ["x"]),
        (True, False, 0),
        (3, float("inf"), 0),
        (3, False, True),
        (3, False, "60"),
        (3, False, [1, float("nan")]),
        (1, False, 10**12),  # milliseconds for seconds
        (3, False, [0, 10**400]),
        (3, False, []),  # RQ takes the last of them when the job fails
        (3, False, ""),
    ],
)
def test_negative_or_odd_retry_arguments_are_refused(max_retries, backoff, intervals):
    with pytest.raises(RetryError, match="use"):
        build_retry(max_retries, retry_backoff=backoff, retry_intervals=intervals)


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_retries": 2.5, "start": 1},
        {"max_retries": True, "start": 1},
        {"max_retries": 2, "start": float("nan")},
        {"max_retries": 2, "start": float("inf")},
        {"max_retries": 2, "start": 1, "factor": float("nan")},
        {"max_retries": 2, "start": 1, "cap_seconds": float("nan")},
        {"max_retries": 2, "start": 1, "jitter": float("nan")},
    ],
)
def test_intervals_of_what_is_no_number_are_refused(arguments):
    with pytest.raises(RetryError, match="use"):
        exponential_backoff_intervals(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"retries": -1},
        {"retries": 2.0},
        {"retries": True},
        {"retries": 60},  # the last wait would be longer than a life
        {"retries": 5000},
        {"backoff_in_seconds": -1},
        {"backoff_in_seconds": float("nan")},
        {"backoff_in_seconds": float("inf")},
        {"backoff_in_seconds": 10**12},
        {"backoff_in_seconds": True},
    ],
)
def test_retry_with_backoff_refuses_waits_that_never_end_before_it_calls(arguments):
    with pytest.raises(RetryError, match="use"):
        retry_with_backoff(lambda: pytest.fail("called"), **arguments)


@pytest.mark.parametrize(
    "retry", [Retry(max=1, interval=10**12), Retry(max=1, interval=[float("nan")]), Retry(max=1.5), 3, "1"]
)
def test_an_rq_retry_that_never_comes_is_refused(retry):
    with pytest.raises(RetryError, match="use"):
        check_retry(retry)


def test_retry_with_backoff_waits_twice_as_long_each_time(monkeypatch):
    waits = []
    monkeypatch.setattr("scheduler.retry.time.sleep", waits.append)
    answers = iter([ValueError(), ValueError(), ValueError(), "done"])

    def call():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert retry_with_backoff(call, retries=5, backoff_in_seconds=2) == "done"
    assert waits == [2, 4, 8]


def test_retry_with_backoff_raises_the_last_error(monkeypatch):
    calls = []
    monkeypatch.setattr("scheduler.retry.time.sleep", lambda _: None)

    def call():
        calls.append(1)
        raise KeyError(len(calls))

    with pytest.raises(KeyError, match="3"):
        retry_with_backoff(call, retries=2)
    assert len(calls) == 3
