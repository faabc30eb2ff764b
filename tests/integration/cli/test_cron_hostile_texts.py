import json

import pytest
from rq import Queue

from scheduler import job_scheduler
from scheduler.cron.heartbeats import PROCESSES
from scheduler.cron.store.registry import SPECS
from scheduler.ledger import cron as ledger
from tests import ROOT
from tests.commands import manage, rqmon_cron
from tests.jobs import pid

HOSTILE = "\x1b]0;PWNED\x07\x1b[2J\u202e[bold red]x[/nosuch]\nLive cron processes: all well"


@pytest.fixture
def hostile(queue, redis_connection):
    """An entry, a heartbeat and a slot record that try to control the reader's terminal."""
    entry = job_scheduler(pid, cron="* * * * *", cron_id=HOSTILE, description=HOSTILE, queue_name=HOSTILE)
    record = {"slot": 1_795_000_000, "outcome": HOSTILE, "lateness": 1, "job": HOSTILE}
    redis_connection.lpush(f"rqmon:ledger:cron:history:{HOSTILE}", json.dumps(record))
    redis_connection.hset(ledger.OUTCOMES, f"{HOSTILE}|{HOSTILE}", 1)
    now = redis_connection.time()[0]
    about = {"host": HOSTILE, "pid": 1, "version": HOSTILE, "started_at": now, "heartbeat": now}
    about |= {"worked_at": None, "trouble": HOSTILE, "passed_over": {HOSTILE: HOSTILE}}
    redis_connection.hset(PROCESSES, HOSTILE, json.dumps(about))
    redis_connection.hset(PROCESSES, f"junk {HOSTILE}", "junk")
    redis_connection.hset(SPECS, b"\xff\x1b[2J", "[" * 100_000)
    redis_connection.hset(SPECS, f"gone {HOSTILE}", json.dumps({"declared": True}))
    return entry


@pytest.mark.parametrize(
    "args",
    [
        ["cron", "list"],
        ["cron", "health"],
        ["cron", "history", HOSTILE],
        ["cron", "diff", str(ROOT / "cron-scheduler.py")],
        ["cron", "run-now", HOSTILE],
        ["cron", "pause", HOSTILE],
        ["cron", "resume", HOSTILE],
        ["cron", "remove", HOSTILE],
        ["cron", "remove", f"no {HOSTILE}"],
        ["cron", "explain", HOSTILE],
        ["cron", "explain", "* * * * *", "--timezone", HOSTILE],
        ["purge-queue", HOSTILE],
        ["purge-queue", "another"],
        ["health-check", "--queue", HOSTILE],
    ],
    ids=lambda args: " ".join(args)[:20],
)
def test_no_command_hands_a_terminal_what_stands_in_redis(hostile, redis_connection, args):
    Queue(HOSTILE, connection=redis_connection).enqueue(pid)
    done = manage(*args)
    printed = done.stdout + done.stderr
    assert printed
    assert not set("\x1b\x07\u202e") & set(printed)
    assert "Traceback" not in printed
    assert not [line for line in printed.splitlines() if line.startswith("Live cron processes: all well")]


def test_json_is_exact(hostile):
    listed = json.loads(rqmon_cron("list", "--json"))
    assert [row["id"] for row in listed["entries"]] == [HOSTILE]
    assert listed["entries"][0]["description"] == HOSTILE
    assert listed["processes"][0]["host"] == HOSTILE
    assert "\udcff\x1b[2J" in listed["cant_run"]
