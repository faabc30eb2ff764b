"""Jobs that were stopped, and those whose horse or worker died, are counted once."""

import math
import os
import signal
import subprocess
import sys
import time

import pytest
from rq import Callback, Queue, Retry, SimpleWorker
from rq.command import send_stop_job_command

from scheduler.ledger import jobs as ledger
from scheduler.serializers import configured
from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests.jobs import fail, kill_horse, kill_worker, pid, succeed_when
from tests.processes.cutting_proxy import AFTER, BEFORE, READONLY, CuttingProxy
from tests.recorded import outcomes
from tests.servers import wait_for


@pytest.mark.usefixtures("either_serializer")
def test_a_killed_horse_is_abandoned_and_told_from_a_failure(redis_connection):
    queue = Queue("q", connection=redis_connection, serializer=configured())
    queue.enqueue(kill_horse, retry=Retry(max=1))
    RecordingWorker([queue], connection=redis_connection).work(burst=True)
    counts = ledger.read(redis_connection)
    assert counts.outcomes == {("q", "tests.jobs.kill_horse", "abandoned"): 2}
    assert counts.horses_killed == {"q": 2}
    assert counts.retries == {"q": 1}
    assert counts.failures == {("q", "WorkHorseKilled"): 2}


class DiesBeforeTheFunction(RecordingWorker):
    def prepare_job_execution(self, *args, **kwargs):
        super().prepare_job_execution(*args, **kwargs)  # Redis knows the function now
        if self.execution.job_id == "dies" if self.execution else "dies" in self.executions:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("worker_class", "function"),
    [(DiesBeforeTheFunction, "tests.jobs.pid"), (RecordingWorker, "dies_as_it_is_imported.pid")],
)
def test_a_horse_killed_before_its_function_is_counted_under_no_function(
    redis_connection, tmp_path, monkeypatch, worker_class, function
):
    module = tmp_path / "dies_as_it_is_imported.py"
    module.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.syspath_prepend(tmp_path)
    queue = Queue("q", connection=redis_connection)
    queue.enqueue(fail)  # another function that the same worker began earlier
    job = queue.enqueue(function, job_id="dies", retry=Retry(max=1))
    worker_class([queue], connection=redis_connection).work(burst=True)
    counts = ledger.read(redis_connection)
    assert counts.outcomes == {("q", "tests.jobs.fail", "failed"): 1, ("q", "unknown", "abandoned"): 2}
    assert (counts.horses_killed, counts.retries) == ({"q": 2}, {"q": 1})
    assert list(counts.run) == [("q", "tests.jobs.fail")]
    module.write_text("from tests.jobs import pid\n")
    queue.enqueue_job(job)
    RecordingWorker([queue], connection=redis_connection).work(burst=True)
    assert ledger.read(redis_connection).outcomes[("q", function, "succeeded")] == 1


@pytest.mark.parametrize("answer", [READONLY, BEFORE, AFTER])
def test_a_horse_that_dies_as_redis_fails_over_is_counted_once(redis_connection, answer):
    queue = Queue("q", connection=redis_connection)
    queue.enqueue(kill_horse)
    queue.enqueue(pid)
    hits = []

    def rule(commands):
        if hits or not any(b"horse_killed" in part for command in commands for part in command):
            return None
        hits.append(commands)
        return answer

    proxy = CuttingProxy(redis_connection.connection_pool.connection_kwargs["port"], rule)
    RecordingWorker(["q"], connection=proxy.client(redis_connection)).work(burst=True)
    proxy.close()
    assert hits
    assert outcomes(redis_connection) == {("kill_horse", "abandoned"): 1, ("pid", "succeeded"): 1}
    assert ledger.read(redis_connection).horses_killed == {"q": 1}


def test_a_stopped_job_is_stopped(rq_redis_url, redis_connection):
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(succeed_when, "began", "/no/such/file")
    rq = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", rq_redis_url]
    worker = subprocess.Popen([*rq, "--worker-class", "scheduler.workers.RecordingWorker", "q"])
    wait_for(lambda: redis_connection.exists("began"))  # it listens to commands before it takes a job
    send_stop_job_command(redis_connection, job.id)
    worker.wait(30)
    assert outcomes(redis_connection) == {("succeed_when", "stopped"): 1}
    [run] = ledger.read(redis_connection).run.values()
    assert 0 < run.sum_seconds < 20


def test_a_worker_that_died_before_its_horse_began_is_counted_once(rq_redis_url, redis_connection):
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(pid)
    rq = [sys.executable, "-m", "rq.cli", "worker", "--url", rq_redis_url]
    dies = [*rq, "--worker-class", "tests.jobs.DiesBeforeItsHorse", "q"]
    assert subprocess.run(dies, check=False, timeout=30, capture_output=True).returncode == -signal.SIGKILL
    assert redis_connection.lrange("rq:queue:q:intermediate", 0, -1) == [job.id.encode()]
    for _ in range(3):
        expire_executions(redis_connection, "q")
        redis_connection.set(f"rq:queue:q:intermediate:first_seen:{job.id}", 1)  # more than a minute ago
        InProcessWorker([queue], connection=redis_connection).clean_registries()
    assert outcomes(redis_connection) == {("unknown", "abandoned"): 1}
    assert job.get_status(refresh=True) == "failed"


def expire_executions(connection, queue):
    """Make it look like a minute and a half without a heartbeat."""
    for token, _ in connection.zrange(f"rq:wip:{queue}", 0, -1, withscores=True):
        connection.zadd(f"rq:wip:{queue}", {token: 1})
        connection.delete(f"rq:execution:{token.decode()}")


@pytest.mark.parametrize("cleaner", [InProcessWorker, SimpleWorker], ids=["ours", "rq's"])
def test_what_died_with_its_worker_is_counted_once_whoever_cleans_up(rq_redis_url, redis_connection, cleaner):
    queue = Queue("q", connection=redis_connection)
    queue.enqueue(kill_worker)
    rq = [sys.executable, "-m", "rq.cli", "worker", "--url", rq_redis_url]
    subprocess.run(
        [*rq, "--worker-class", "scheduler.workers.RecordingWorker", "q"],
        check=False,
        timeout=30,
        capture_output=True,
    )
    assert outcomes(redis_connection) == {}
    expire_executions(redis_connection, "q")
    cleaner([queue], connection=redis_connection).work(burst=True)
    assert len(queue.failed_job_registry) == 1
    for _ in range(2):
        InProcessWorker([queue], connection=redis_connection).work(burst=True)
    assert outcomes(redis_connection) == {("kill_worker", "abandoned"): 1}
    assert ledger.read(redis_connection).failures == {("q", "rq.exceptions.AbandonedJobError"): 1}


def test_an_execution_that_runs_is_not_reaped(redis_connection):
    with redis_connection.pipeline() as pipe:
        ledger.note_start(pipe, "job:execution", queue="q", details={})
        pipe.zadd("rq:wip:q", {"job:execution": time.time() + 60})
        pipe.execute()
    assert ledger.reap(redis_connection) == 0
    redis_connection.zrem("rq:wip:q", "job:execution")
    redis_connection.set("rq:execution:job:execution", "its job was canceled, and its worker lives")
    assert ledger.reap(redis_connection) == 0
    redis_connection.delete("rq:execution:job:execution")
    assert ledger.reap(redis_connection) == 1
    assert ledger.reap(redis_connection) == 0


def test_counting_again_changes_nothing_as_when_an_answer_was_lost(redis_connection):
    bounds = (1.0, 10.0)
    ledger.note_start(redis_connection, "a:1", queue="q|x", details={})
    known = ledger.details(function="f|g", wait_seconds=2, bounds=bounds)
    ledger.note_details(redis_connection, "a:1", known)
    for outcome in (ledger.JobOutcome.SUCCEEDED, ledger.JobOutcome.FAILED):
        ledger.count_end(
            redis_connection, "a:1", outcome, run_seconds=11, bounds=bounds, exception=None, runs_again=True
        )
    ledger.note_details(redis_connection, "a:1", known)
    counts = ledger.read(redis_connection)
    assert counts.outcomes == {("q|x", "f_g", "succeeded"): 1}
    assert counts.wait == {("q|x", "f_g"): ledger.Histogram({10.0: 1}, 2.0)}
    assert counts.run == {("q|x", "f_g"): ledger.Histogram({math.inf: 1}, 11.0)}
    assert not redis_connection.exists(ledger.RUNNING)


@pytest.mark.parametrize(
    "callback", ["raise_in_callback", "exit_in_callback", "sleep_in_callback", "missing"]
)
def test_on_stopped_ends_no_worker_and_the_stopped_job_stays_stopped(
    rq_redis_url, redis_connection, callback
):
    queue = Queue("q", connection=redis_connection)
    on_stopped = Callback(f"tests.jobs.{callback}", timeout=1)
    options = {"on_stopped": on_stopped, "retry": Retry(max=1)}
    job = queue.enqueue(succeed_when, "began", "/no/such/file", **options)
    after = queue.enqueue(pid)
    rq = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", rq_redis_url]
    worker = subprocess.Popen([*rq, "--worker-class", "scheduler.workers.RecordingWorker", "q"])
    wait_for(lambda: redis_connection.exists("began"))
    send_stop_job_command(redis_connection, job.id)
    assert worker.wait(30) == 0
    assert outcomes(redis_connection) == {("succeed_when", "stopped"): 1, ("pid", "succeeded"): 1}
    assert (job.get_status(refresh=True), after.get_status(refresh=True)) == ("stopped", "finished")
