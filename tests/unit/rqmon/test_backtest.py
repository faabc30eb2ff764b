"""When an alert would have fired, by the moments at which its expression held."""

import pytest

from rqmon.alerting.backtest import firings


def at(first: int, last: int) -> list[float]:
    return [float(moment) for moment in range(first, last + 1, 30)]


@pytest.mark.parametrize(
    ("moments", "for_seconds", "keep_seconds", "fired"),
    [
        ([], 0, 0, []),
        (at(0, 0), 0, 0, [(0, 0)]),
        (at(0, 0), 10, 0, [(0, 0)]),  # within a step it may have held long enough
        (at(0, 90), 120, 0, []),
        (at(0, 120), 120, 0, [(120, 120)]),
        (at(0, 300), 120, 0, [(120, 300)]),
        (at(0, 90) + at(150, 240), 120, 0, []),  # what was pending begins anew
        (at(0, 60) + at(150, 240), 0, 0, [(0, 60), (150, 240)]),
        (at(0, 60) + at(150, 240), 0, 120, [(0, 360)]),
        (at(0, 60) + at(600, 660), 0, 120, [(0, 180), (600, 780)]),
        (at(0, 180) + at(240, 270), 120, 60, [(120, 330)]),  # it fires on, without a new wait
    ],
)
def test_it_fires_when_it_held_and_ends_when_it_does_not(moments, for_seconds, keep_seconds, fired):
    found = firings(moments, for_seconds=for_seconds, keep_seconds=keep_seconds, step_seconds=30)
    assert list(found) == fired
