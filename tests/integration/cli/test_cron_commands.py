import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest
from rq import Queue

from scheduler import job_scheduler
from scheduler.cron.claims import Claimer
from scheduler.cron.heartbeats import PROCESSES, Heart
from scheduler.cron.store.registry import DATA, NEXT, PAUSED, SPECS, CronRegistry
from scheduler.ledger import cron as ledger
from tests.integration.cli.test_commands import ROOT, manage
from tests.jobs import pid
from tests.servers import wait_for

DAY = timedelta(days=1)


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
    assert "1.0 s" not in shown  # it was in time


def test_list_marks_a_next_run_in_the_past(entry, redis_connection):
    assert "overdue" not in rqmon_cron("list")
    redis_connection.zadd(NEXT, {entry.id: (datetime.now(UTC) - DAY).timestamp()})
    assert "overdue" in rqmon_cron("list")
    assert json.loads(rqmon_cron("list", "--json"))["entries"][0]["overdue"] is True


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


def test_diff_shows_what_a_start_would_do_and_does_nothing(queue, tmp_path):
    shown = rqmon_cron("diff", str(ROOT / "cron-scheduler.py"))
    assert shown.startswith("added")
    assert "Queue health check" in shown
    assert queue.cron_job_count() == 0


@pytest.fixture
def diff(queue, tmp_path):
    """What `rqmon cron diff` ends like for a file of that text."""

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


def test_health_is_1_without_a_process(queue):
    assert "none" in rqmon_cron("health", code=1)


def beat(heart, passed_over):
    """Let a process be live now: its heartbeat counts for 15 s, and beside other work commands take long."""
    heart.hurry()
    heart.worked()
    heart.beat(passed_over)


def test_health_is_1_while_a_process_gets_nothing_done_and_says_why(queue, redis_connection):
    heart = Heart(redis_connection, version="1")
    beat(heart, {"an-entry": "its zone is unknown"})
    shown = rqmon_cron("health")
    assert "1 entry can't be run:\n  an-entry: its zone is unknown (says" in shown

    def in_trouble():
        beat(heart, {})
        [(name, stored)] = redis_connection.hgetall(PROCESSES).items()
        about = {**json.loads(stored), "trouble": "Redis refuses (NOPERM)"}
        about["worked_at"] -= 60
        redis_connection.hset(PROCESSES, name, json.dumps(about))

    in_trouble()
    assert "queues nothing since" in (shown := rqmon_cron("health", code=1))
    assert "Redis refuses (NOPERM)" in shown
    in_trouble()
    [process] = json.loads(rqmon_cron("health", "--json", code=1))
    assert (process["working"], process["trouble"]) == (False, "Redis refuses (NOPERM)")


def test_health_is_1_while_no_process_can_queue_any_entry(entry, redis_connection):
    unable, able = (Heart(redis_connection, version="1") for _ in range(2))
    no_set = "The key rq:queues holds no set"
    beat(unable, {entry.id: no_set})
    assert f"{entry.id}: {no_set}" in rqmon_cron("health", code=1)
    beat(unable, {entry.id: no_set})
    beat(able, {})
    rqmon_cron("health")
    able.stop()
    job_scheduler(pid, cron="* * * * *", cron_id="another")
    beat(unable, {entry.id: no_set})
    rqmon_cron("health")
    beat(unable, dict.fromkeys((entry.id, "another", *map(str, range(30))), no_set))
    rqmon_cron("health", code=1)


HOSTILE = "\x1b]0;PWNED\x07\x1b[2J\u202e[bold red]x[/nosuch]\nLive cron processes: all well"


@pytest.fixture
def hostile(queue, redis_connection):
    """An entry, a heartbeat and a record of a slot that try to steer whoever reads them."""
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


@pytest.fixture
def cron_process(queue, rq_redis_url, tmp_path):
    """Start cron-scheduler.py, by Python's own arguments, and wait until it is live; it is stopped after."""
    started = []

    def start(*args):
        env = {**os.environ, "RQ_REDIS_URL": rq_redis_url, "PYTHONPATH": str(ROOT)}
        with (tmp_path / "log").open("wb") as log:
            started.append(subprocess.Popen([sys.executable, *args], env=env, cwd=tmp_path, stderr=log))
        wait_for(lambda: manage("cron", "health").returncode == 0, what="a live process")

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=20)


def test_health_shows_the_version_that_runs(cron_process):
    cron_process(str(ROOT / "cron-scheduler.py"))
    [process] = json.loads(rqmon_cron("health", "--json"))
    name = f"{process['host']}:{process['pid']}"
    assert rqmon_cron("health") == f"Live cron processes: {name} ({version('rqmon')})\n"
    for at in ("started_at", "heartbeat"):
        assert abs(datetime.now(UTC) - datetime.fromisoformat(process[at])) < DAY
    assert json.loads(rqmon_cron("list", "--json"))["processes"][0]["started_at"] == process["started_at"]


NOT_INSTALLED = """
import importlib.metadata, runpy, sys
found = importlib.metadata.version
def version(name):
    if name == "rqmon":
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)
importlib.metadata.version = version
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_a_cron_process_runs_from_files_that_are_only_copied(cron_process):
    cron_process("-c", NOT_INSTALLED, str(ROOT / "cron-scheduler.py"))
    [process] = json.loads(rqmon_cron("health", "--json"))
    assert process["version"] == ""
    assert rqmon_cron("health") == f"Live cron processes: {process['host']}:{process['pid']}\n"
