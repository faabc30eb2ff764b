import json

import pytest

from scheduler import job_scheduler
from scheduler.cron.store.registry import DATA, SPECS
from tests import ROOT
from tests.commands import manage, rqmon_cron


def test_diff_shows_what_a_start_would_do_and_does_nothing(queue, tmp_path):
    shown = rqmon_cron("diff", str(ROOT / "cron-scheduler.py"))
    assert shown.startswith("added")
    assert "Queue health check" in shown
    assert queue.cron_job_count() == 0


@pytest.fixture
def diff(queue, tmp_path):
    """Return the result of `rqmon cron diff` for a file with that text."""

    def run(text, *args):
        (tmp_path / "crons.py").write_text(text)
        return manage("cron", "diff", str(tmp_path / "crons.py"), *args)

    return run


DECLARING = """
from scheduler import job_scheduler

def schedule_jobs():
    it = {{"cron_id": "changed-entry", "description": "It"}}
    job_scheduler("tests.jobs.pid", {0}, cron="{1}", queue_name="{2}", **it)
    job_scheduler("tests.jobs.pid", cron_id="new", cron="0 0 * * *", description="New")
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def schedule_jobs(:", "SyntaxError: invalid syntax"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("", "it has no function schedule_jobs"),
        ("schedule_jobs = 5", "it has no function schedule_jobs"),
        ("def schedule_jobs():\n    1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_diff_says_in_one_line_why_a_file_cant_be_loaded(diff, tmp_path, text, why):
    done = diff(text)
    [line] = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith(f"manage.py: {tmp_path / 'crons.py'} can't be loaded: {why}")


def test_diff_imports_what_is_beside_the_file_as_its_start_does(diff, tmp_path):
    (tmp_path / "beside_it.py").write_text("")
    done = diff("import beside_it\ndef schedule_jobs(): pass")
    assert (done.returncode, done.stdout) == (0, "")


def test_diff_says_what_changed_field_by_field(diff, redis_connection, tmp_path):
    def start(*values):
        (tmp_path / "crons.py").write_text(DECLARING.format(*values))
        return rqmon_cron("diff", str(tmp_path / "crons.py"))

    assert [line.split() for line in start("(1,)", "0 8 * * *", "q").splitlines()] == [
        ["added", "changed-entry", "It"],
        ["added", "new", "New"],
    ]
    job_scheduler("tests.jobs.pid", (1,), cron_id="changed-entry", cron="0 8 * * *", queue_name="q")
    assert start("(2,)", "0 9 * * *", "other").splitlines() == [
        "added      new            New",
        "changed    changed-entry  It",
        "             queue_name: q -> other",
        "             schedule: 0 8 * * * (UTC) -> 0 9 * * * (UTC)",
        "             description: tests.jobs.pid -> It",
        "             declared: no -> yes",
        "             arguments",
    ]
    changes = json.loads(rqmon_cron("diff", str(tmp_path / "crons.py"), "--json"))["changes"]
    assert changes["changed-entry"]["queue_name"] == ["q", "other"]
    assert changes["changed-entry"]["arguments"] is None


def test_diff_shows_an_entry_that_cant_be_read_by_its_id(diff, redis_connection):
    redis_connection.hset(SPECS, "gone", json.dumps({"declared": True}))
    redis_connection.hset(DATA, "gone", b"")
    redis_connection.hset(SPECS, "changed-entry", "{")
    done = diff(DECLARING.format("(1,)", "0 8 * * *", "q"))
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "added      new            New",
        "changed    changed-entry  It",
        "             stored: incomplete or unreadable -> whole",
        "removed    gone",
    ]
