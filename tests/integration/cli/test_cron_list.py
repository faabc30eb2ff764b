import json
from datetime import UTC, datetime, timedelta

import pytest

from scheduler import job_scheduler
from scheduler.cron.claims import Claimer
from scheduler.cron.heartbeats import PROCESSES
from scheduler.cron.store.registry import DATA, NEXT, SPECS
from scheduler.ledger import cron as ledger
from tests.commands import manage, rqmon_cron
from tests.jobs import pid

DAY = timedelta(days=1)


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
    assert (row["catch_up"], row["overlap"], row["late_after_seconds"]) == ("latest", "allow", 30)


@pytest.mark.parametrize("text", ["closes [/x] nothing", "is [red] and [bold]", "says :warning: :smile:"])
def test_list_shows_a_description_as_it_is(queue, text):
    job_scheduler(pid, cron="0 0 * * *", cron_id=f"id {text}", description=text)
    shown = rqmon_cron("list").splitlines()
    assert text in [line.strip() for line in shown]
    assert shown[1].startswith(f"id {text}")


def test_list_stays_readable_beside_texts_of_100000_characters(entry, redis_connection):
    spec = json.loads(redis_connection.hget(SPECS, entry.id))
    long = "0," * 50_000 + "0 * * * *"
    changes = {
        "words": {"schedule": {**spec["schedule"], "cron": long}},
        "description": {"description": "long " * 20_000},
        "junk": {"schedule": {**spec["schedule"], "cron": long + " *"}},
    }
    for id_, change in changes.items():
        redis_connection.hset(SPECS, id_, json.dumps({**spec, "id": id_, **change}))
        redis_connection.hset(DATA, id_, redis_connection.hget(DATA, entry.id))
    shown = rqmon_cron("list")
    assert len(shown) < 10_000
    assert all(id_ in shown for id_ in (*changes, "1 entry can't be run", "Register it again"))
    assert len(rqmon_cron("list", "--json")) > 100_000


@pytest.mark.parametrize(
    "spoil",
    [
        {"slot": -62_135_596_800},  # the year 1 in UTC, and before it in New York
        {"slot": 253_402_300_799},  # the year 9999, and after it in Tokyo
        {"lateness": float("nan")},
        {"lateness": float("inf")},
    ],
)
def test_a_record_that_no_calendar_or_json_has_is_left_out(queue, redis_connection, spoil):
    for zone in ("America/New_York", "Asia/Tokyo"):
        job_scheduler(pid, cron="* * * * *", timezone=zone, cron_id=zone)
        for record in ({"job": "good"}, spoil):
            record = {"slot": 1_795_000_000, "outcome": "late", "lateness": 1, **record}
            redis_connection.lpush(f"rqmon:ledger:cron:history:{zone}", json.dumps(record))
        [shown] = json.loads(rqmon_cron("history", zone, "--json"))
        assert shown["job_id"] == "good"
        assert "good" in rqmon_cron("history", zone)
    rqmon_cron("list")
    json.loads(rqmon_cron("list", "--json"), parse_constant=pytest.fail)


def test_entries_are_listed_without_counts_that_cant_be_read(entry, redis_connection):
    redis_connection.set(ledger.OUTCOMES, "no hash")
    assert "Morning report" in rqmon_cron("list")


def test_what_redis_says_of_processes_and_slots_is_not_shown_at_length(entry, redis_connection):
    text = "x" * 100_000
    now = redis_connection.time()[0]
    about = {"host": text, "pid": 1, "version": text, "started_at": now, "heartbeat": now}
    about |= {"worked_at": None, "trouble": text, "passed_over": {text: text}}
    redis_connection.hset(PROCESSES, "p", json.dumps(about))
    redis_connection.hset(PROCESSES, text, "junk")
    redis_connection.hset(ledger.OUTCOMES, f"{entry.id}|{text}", 1)
    record = {"slot": 1_795_000_000, "outcome": text, "job": text}
    redis_connection.lpush(f"rqmon:ledger:cron:history:{entry.id}", json.dumps(record))
    for args, code in ((["list"], 0), (["health"], 1), (["history", entry.id], 0)):
        assert len(rqmon_cron(*args, code=code)) < 10_000


def test_a_text_of_several_lines_is_one_in_history(entry, redis_connection):
    record = {"slot": 1_795_000_000, "outcome": "ran\nforged", "job": "j\nforged"}
    redis_connection.lpush(f"rqmon:ledger:cron:history:{entry.id}", json.dumps(record))
    assert not [line for line in rqmon_cron("history", entry.id).splitlines() if line.startswith("forged")]
    assert r"ran\nforged" in rqmon_cron("history", entry.id)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_encoding_of_the_output_lacks_is_escaped(queue, encoding):
    job_scheduler(pid, cron="* * * * *", cron_id="x", description="\u65e5\u672c \U0001f600")
    done = manage("cron", "list", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert r"\u65e5\u672c \U0001f600" in done.stdout


def test_list_fits_into_80_columns(entry, redis_connection):
    path = "an_application.companies.tasks.archive_what_nobody_has_touched"
    derived = job_scheduler(path, cron="0 23 * * SAT", timezone="Asia/Kolkata")
    late = Claimer(redis_connection).look().first + 14 * DAY
    while Claimer(redis_connection).claim(now=late, clock=late) is not None:
        pass
    lines = [line.rstrip() for line in manage("cron", "list", COLUMNS="80").stdout.splitlines()]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith(derived.id) for line in lines)
    whole = "".join(line[: lines[0].index("next")].strip() for line in lines)
    assert path in whole
    words = {word for line in lines for word in line.split()}
    assert {"Morning", "report", "Monday", "through", "Friday", "Saturday", "IST", "UTC", "late"} <= words
    assert lines.count("") == 1  # between the two entries
    assert len(lines) < 15


def test_list_shows_both_zones_without_seconds_that_are_none(queue, redis_connection):
    job_scheduler(pid, cron="30 1 * * *", timezone="Asia/Kolkata", cron_id="a")  # 20:00 UTC of the day before
    slot = Claimer(redis_connection).look().first
    Claimer(redis_connection).claim(now=slot, clock=slot + timedelta(seconds=1))
    shown = " ".join(rqmon_cron("list").split())
    assert shown.count(" 01:30 IST") == shown.count(" 20:00 UTC") == 2
    assert f"{slot:%d %b} 20:00 UTC" in " ".join(shown.split())
    assert "ran" in shown
    assert "1.0 s" not in shown  # it was on time


def test_list_marks_a_next_run_in_the_past(entry, redis_connection):
    assert "overdue" not in rqmon_cron("list")
    redis_connection.zadd(NEXT, {entry.id: (datetime.now(UTC) - DAY).timestamp()})
    assert "overdue" in rqmon_cron("list")
    assert json.loads(rqmon_cron("list", "--json"))["entries"][0]["overdue"] is True
