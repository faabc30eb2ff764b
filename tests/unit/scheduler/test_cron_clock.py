from datetime import UTC, datetime, timedelta

import pytest

from scheduler.cron.clock import SETTLING_SECONDS, ServerClock

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Server:
    """A server's clock that can be set, read by a process whose own clock can't."""

    def __init__(self):
        self.clock, self.own, self.set_ahead = ServerClock(), 1000.0, 0.0

    def look(self, *, after=1.0, answer_takes=0.0):
        self.own += after
        asked = self.own
        now = NOON + timedelta(seconds=asked - 1000 + self.set_ahead)
        self.own += answer_takes
        return self.clock.believes(now, asked=asked, answered=self.own)


@pytest.fixture
def server():
    server = Server()
    assert server.look()
    return server


def test_a_clock_that_goes_on_is_believed_also_after_an_outage_and_when_it_drifts(server):
    assert all(server.look() for _ in range(10))
    assert server.look(after=7200)
    for _ in range(100):
        server.set_ahead += 1
        assert server.look()


def test_a_slow_answer_and_a_process_that_was_stopped_are_no_jump(server):
    assert server.look(answer_takes=3600)
    assert server.look()


@pytest.mark.parametrize("jump", [7200, 3 * 86400, -7200, 6])
def test_a_clock_that_jumps_and_comes_back_is_not_believed_meanwhile(server, jump):
    server.set_ahead = jump
    assert not any(server.look() for _ in range(30))
    assert server.clock.jump_seconds == pytest.approx(jump, abs=1)
    server.set_ahead = 0
    assert server.look()
    assert (server.clock.jump_seconds, server.clock.settled) == (0, 1)


@pytest.mark.parametrize("jump", [7200, -7200])
def test_a_clock_that_goes_on_from_where_it_jumped_to_is_believed_in_the_end(server, jump):
    server.set_ahead = jump
    believed = [server.look() for _ in range(int(SETTLING_SECONDS) + 2)]
    assert believed.index(True) == pytest.approx(SETTLING_SECONDS, abs=1)
    assert server.look()
    assert server.clock.settled == 1


def test_a_clock_that_jumps_again_must_go_on_for_as_long_again(server):
    server.set_ahead = 7200
    assert not any(server.look() for _ in range(50))
    server.set_ahead = 9000
    assert not any(server.look() for _ in range(50))
