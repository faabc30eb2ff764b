import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.cron.claims import Claimer
from scheduler.cron.store.registry import DATA, NEXT, PAUSED, SPECS, CronRegistry
from scheduler.ledger import cron as ledger
from tests.commands import manage, rqmon_cron

DAY = timedelta(days=1)


def test_explain_shows_words_runs_and_clock_changes():
    shown = rqmon_cron("explain", "30 1 * * *", "--timezone", "Europe/London")
    assert "At 01:30 AM (Europe/London)" in shown
    assert "Clocks go forward" in shown
    assert "runs at 02:00 BST" in shown
    assert "Clocks go back" in shown
    often = rqmon_cron("explain", "*/10 * * * *", "--timezone", "Europe/London")
    assert "at 00:30 GMT, 00:40 GMT, 00:50 GMT, 02:00 BST, 02:10 BST, 02:20 BST." in often
    explained = json.loads(rqmon_cron("explain", "*/10 * * * *", "--json"))
    assert len(explained["next"]) == 10
    assert (explained["expression"], explained["timezone"]) == ("*/10 * * * *", "UTC")


def test_explain_finds_a_clock_change_to_the_minute():
    # At 15:30 UTC Lord Howe goes from 02:00 +1030 to 02:30 +11, which is half past an hour of UTC.
    shown = rqmon_cron("explain", "*/10 * * * *", "--timezone", "Australia/Lord_Howe")
    [forward] = [line for line in shown.splitlines() if "Clocks go forward" in line]
    assert "01:30 +1030, 01:40 +1030, 01:50 +1030, 02:30 +11" in forward


@pytest.mark.parametrize(("timezone", "columns"), [("UTC", 1), ("Etc/UTC", 1), ("Europe/London", 2)])
def test_explain_shows_utc_once(timezone, columns):
    table = rqmon_cron("explain", "30 8 * * *", "--timezone", timezone).splitlines()[2:13]
    assert table[0].split() == [timezone, "UTC"][:columns]
    assert {line.count(":30") for line in table[1:]} == {columns}


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
    assert records[0]["slot"] == datetime.fromisoformat(records[0]["slot"]).isoformat()
    assert "the last 100 are kept" in rqmon_cron("history", "--help")


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


def test_an_id_that_is_no_utf8_is_paused_and_not_resumed(entry, redis_connection):
    spec = redis_connection.hget(SPECS, entry.id)
    for key, value in ((SPECS, spec), (DATA, redis_connection.hget(DATA, entry.id))):
        redis_connection.hset(key, b"\xff\xfe", value)
    overdue = Claimer(redis_connection).look().now - 14 * DAY
    redis_connection.zadd(NEXT, {b"\xff\xfe": overdue.timestamp()})
    id_ = os.fsdecode(b"\xff\xfe")
    assert rqmon_cron("pause", id_) == "Paused \\udcff\\udcfe.\n"
    assert redis_connection.smembers(PAUSED) == {b"\xff\xfe"}
    assert int(redis_connection.hget(ledger.OUTCOMES, b"\xff\xfe|missed")) > 5
    refused = manage("cron", "resume", id_)
    assert refused.returncode == 2
    assert "can't be read" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_remove(entry, redis_connection):
    assert rqmon_cron("remove", entry.id) == f"Removed {entry.id}.\n"
    assert CronRegistry(redis_connection).count() == 0
    rqmon_cron("remove", entry.id, code=2)
