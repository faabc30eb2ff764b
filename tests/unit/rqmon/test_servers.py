"""The tests' waiting functions must not depend on luck themselves."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rqmon.ports import free_ports
from tests.servers import command_lines, free_port, wait_for


@pytest.fixture
def zombie():
    """A process that has ended but has not been waited for."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    listed = psutil.Process(process.pid)
    wait_for(lambda: listed.status() == psutil.STATUS_ZOMBIE, what="it has ended")
    yield listed
    process.wait()


def test_a_process_that_ends_while_it_is_listed_is_left_out(zombie):
    own = psutil.Process()
    assert command_lines([zombie, own]) == [" ".join(own.cmdline())]


def test_a_process_that_has_ended_is_a_no_for_who_waits(zombie):
    asked = []

    def condition():
        asked.append(1)
        return len(asked) > 1 or bool(zombie.cmdline())

    wait_for(condition)
    assert len(asked) == 2


def test_no_outgoing_connection_takes_a_port_before_its_use():
    ports = free_ports(50, but={"10000"})
    assert len(set(ports)) == 50
    assert 10000 not in ports
    if (limits := Path("/proc/sys/net/ipv4/ip_local_port_range")).exists():
        first = int(limits.read_text().split()[0])
        assert max(*ports, free_port()) < first
