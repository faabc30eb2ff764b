"""`rqmon doctor` and `rqmon why`, as people and programs use them."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest
from rq import Queue

from scheduler.workers.strategies import InProcessWorker
from tests.doctor import installed, rqmon
from tests.jobs import fail, pid
from tests.processes.worker_process import worker
from tests.servers import free_port

HOSTILE = "q\x1b]0;owned\x07\x1b[2J"


@pytest.fixture
def ill(redis_connection):
    """Jobs that nobody runs, in a queue whose name would steer a terminal, and one that failed."""
    queue = Queue(HOSTILE, connection=redis_connection)
    queue.enqueue(fail)
    InProcessWorker([queue], connection=redis_connection).work(burst=True)
    return queue.enqueue(pid, description="\x1b[31m what it does")


@pytest.mark.usefixtures("ill")
def test_what_is_broken_is_said_first_in_lines_of_a_terminal():
    said = rqmon("doctor")
    assert (said.returncode, said.stderr) == (2, "")
    assert said.stdout.startswith("BROKEN   No worker listens to q\\x1b]0;owned\\x07\\x1b[2J: 1 job waits.\n")
    assert said.stdout.index("WARNING") > said.stdout.rindex("BROKEN")
    assert "\x1b" not in said.stdout
    lines = said.stdout.splitlines()
    assert max(len(line) for line in lines if not line.startswith("  $ ")) <= 80
    assert lines[-1].startswith("1 broken, 2 warnings. Looked at 1 queue, 0 workers, 0 cron entries in ")


@pytest.mark.usefixtures("ill")
def test_narrow_terminals_and_programs():
    lines = rqmon("doctor", COLUMNS="40").stdout.splitlines()
    assert all(len(line) <= 40 or line.startswith("  $ ") or " " not in line[9:] for line in lines), lines
    found = json.loads(rqmon("doctor", "--json").stdout)
    assert [it["severity"] for it in found["findings"]] == ["broken", "warning", "warning"]
    assert {*found["findings"][0]} == {"severity", "fact", "cause", "command"}
    assert HOSTILE in found["findings"][0]["fact"]


def test_exit_codes(redis_connection, rq_redis_url):
    assert rqmon("doctor").returncode == 1  # the tests' Redis does not save to disk
    redis_connection.config_set("appendonly", "yes")
    with worker(redis_connection, rq_redis_url):
        said = rqmon("doctor")
        assert (said.returncode, said.stdout.startswith("All is well. Looked at ")) == (0, True), said.stdout
    redis_connection.config_set("appendonly", "no")
    said = rqmon("doctor", RQ_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert (said.returncode, "Redis does not answer." in said.stdout) == (2, True)


@pytest.mark.usefixtures("ill")
def test_colour_is_for_terminals(rq_redis_url):
    main, side = pty.openpty()
    code = "from rqmon.cli.main import main; main(['doctor'])"
    subprocess.run([sys.executable, "-c", code], stdout=side, check=False, timeout=60)
    os.close(side)
    said = os.read(main, 1 << 16).decode()
    os.close(main)
    assert said.startswith("\x1b[31m\x1b[1mBROKEN ")
    assert "\x1b[2J" not in said


def test_where_rq_finds_the_address_that_only_env_has(tmp_path, ill, rq_redis_url, monkeypatch):
    monkeypatch.delenv("RQ_REDIS_URL")
    # A shell would read neither line as it is meant.
    (tmp_path / ".env").write_text(f"SECRET=a b $(c\nRQ_REDIS_URL = '{rq_redis_url}'\n")
    said = rqmon("doctor", RQMON_ENV_FILE=str(tmp_path / ".env"))
    [first] = re.findall(r"^First, for commands of rq: (.*)$", said.stdout, re.MULTILINE)
    line = f"{installed(first)}; printenv RQ_REDIS_URL; printenv SECRET"
    told = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.stdout == f"{rq_redis_url}\n"


def test_why_says_it_in_lines_and_for_programs(ill):
    said = rqmon("why", ill.id)
    assert (said.returncode, "\x1b" in said.stdout) == (0, False)
    assert said.stdout.startswith(f"{ill.id}  queued in q\\x1b]0;owned\\x07")
    assert "  \\x1b[31m what it does\n" in said.stdout
    assert "  No worker listens to q" in said.stdout
    found = json.loads(rqmon("why", ill.id, "--json").stdout)
    assert {*found} == {"id", "status", "queue", "description", "answer", "details", "command"}


@pytest.mark.usefixtures("rq_redis")
def test_why_of_nobody_and_without_redis():
    said = rqmon("why", "nobody\x1b[2J")
    assert (said.returncode, said.stdout.splitlines()[0]) == (2, "nobody\\x1b[2J")
    said = rqmon("why", "nobody", RQ_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
