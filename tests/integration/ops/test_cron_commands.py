import json
from datetime import UTC, datetime, timedelta

import pytest

from scheduler import job_scheduler
from scheduler.cron.claims import Claimer
from scheduler.cron.registry import CronRegistry
from tests.integration.ops.test_commands import ROOT, manage
from tests.jobs import pid


def rqmon_cron(*args, code=0):
    done = manage("cron", *args)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.fixture
def entry(queue):
    return job_scheduler(
        pid,
        cron="30 8 * * MON-FRI",
        timezone="Europe/London",
        cron_id="morning",
        description="Morning report",
        queue_name="q",
    )


def test_list_shows_when_and_how_it_went(entry, redis_connection):
    claimer = Claimer(redis_connection)
    slot = claimer.look().first
    claimer.claim(now=slot, clock=slot + timedelta(seconds=45))
    shown = manage("cron", "list", COLUMNS="200").stdout
    for text in ("morning", "Morning report", "At 08:30 AM, Monday through Friday", "1 late"):
        assert text in " ".join(shown.split())
    assert "1 entry, 0 live cron processes." in shown
    [row] = json.loads(rqmon_cron("list", "--json"))["entries"]
    assert row["slots"] == {"late": 1}
    assert row["last"]["lateness_seconds"] == pytest.approx(45, abs=0.01)
    assert datetime.fromisoformat(row["last"]["slot"]) == slot
    assert datetime.fromisoformat(row["next"]) > slot


def test_explain_shows_words_runs_and_clock_changes():
    shown = rqmon_cron("explain", "30 1 * * *", "--timezone", "Europe/London")
    assert "At 01:30 AM (Europe/London)" in shown
    assert "Clocks go forward" in shown
    assert "runs at 02:00 BST" in shown
    assert "Clocks go back" in shown
    often = rqmon_cron("explain", "*/10 * * * *", "--timezone", "Europe/London")
    assert "at 00:30 GMT, 00:40 GMT, 00:50 GMT, 02:00 BST, 02:10 BST, 02:20 BST." in often
    assert len(json.loads(rqmon_cron("explain", "*/10 * * * *", "--json"))["next"]) == 10


def test_explain_points_at_what_is_wrong():
    done = manage("cron", "explain", "* 25 * * *")
    assert (done.returncode, done.stderr) == (2, "manage.py: Invalid cron '* 25 * * *': hour can't be '25'\n")
    assert "use an IANA name" in manage("cron", "explain", "* * * * *", "--timezone", "Mars/Olympus").stderr


def test_history_lists_slots_the_newest_first(entry, redis_connection):
    claimer = Claimer(redis_connection)
    first = claimer.look().first
    claimer.claim(now=first + timedelta(days=7), clock=first + timedelta(days=7))
    records = json.loads(rqmon_cron("history", "morning", "--json"))
    assert [record["outcome"] for record in records].count("missed") == len(records) - 1 >= 4
    assert records[0]["job_id"] in rqmon_cron("history", "morning")
    assert rqmon_cron("history", "evening", code=2) == ""


def test_run_now_queues_a_job_beside_the_slots(entry, queue, redis_connection):
    before = Claimer(redis_connection).look().first
    job_id = json.loads(rqmon_cron("run-now", "morning", "--json"))["job"]
    assert queue.get_queue("q").job_ids == [job_id]
    assert Claimer(redis_connection).look().first == before
    assert json.loads(rqmon_cron("list", "--json"))["entries"][0]["slots"] == {}


def test_pause_and_resume(entry, redis_connection):
    assert rqmon_cron("pause", "morning") == "Paused morning.\n"
    assert "paused" in rqmon_cron("list")
    assert Claimer(redis_connection).look().first is None
    assert rqmon_cron("resume", "morning") == "Resumed morning.\n"
    assert Claimer(redis_connection).look().first > datetime.now(UTC)
    assert "no cron entry 'evening'" in manage("cron", "pause", "evening").stderr


def test_remove(entry, redis_connection):
    assert rqmon_cron("remove", entry.id) == f"Removed {entry.id}.\n"
    assert CronRegistry(redis_connection).count() == 0
    rqmon_cron("remove", entry.id, code=2)


def test_diff_shows_what_a_start_would_do_and_does_nothing(queue, tmp_path):
    shown = rqmon_cron("diff", str(ROOT / "cron-scheduler.py"))
    assert shown.startswith("added")
    assert "Queue health check" in shown
    assert queue.cron_job_count() == 0
    empty = tmp_path / "empty.py"
    empty.write_text("")
    assert "no function schedule_jobs" in manage("cron", "diff", str(empty)).stderr


def test_health_is_1_without_a_process(queue):
    assert "none" in rqmon_cron("health", code=1)
