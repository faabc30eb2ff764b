"""RQ_SERIALIZER=json: what it refuses, and what happens to pickled jobs, of which none is unpickled."""

import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from rq import Queue, Retry

from scheduler import ArgumentError, Scheduler, job_scheduler
from scheduler.cron.claims import Claimer
from scheduler.cron.constants import EVERY_MINUTE
from scheduler.cron.store.registry import DATA, CronRegistry, declaring
from scheduler.ledger import jobs as ledger
from scheduler.serializers import SERIALIZERS, configured
from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests.jobs import Canary, Numbers, Recorder, a_datetime, echo, kill_worker, pid
from tests.servers import wait_for

WORKERS = pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
OTHER = {"pickle": "json", "json": "pickle"}


@pytest.fixture
def as_json(monkeypatch):
    monkeypatch.setenv("RQ_SERIALIZER", "json")


def queue_of(serializer, connection):
    return Queue("q", connection=connection, serializer=SERIALIZERS[serializer])


def canary(connection, path, **options):
    """A job that writes a file when its arguments, its meta or its result are unpickled, by anybody."""
    queue = Queue("q", connection=connection)
    job = queue.enqueue(pid, Canary(path), meta={"canary": Canary(path)}, **options)
    connection.hset(job.key, "result", pickle.dumps(Canary(path)))
    return job


CIRCLE: list = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize("redis_answers", [True, False])
@pytest.mark.parametrize(
    "when",
    [{}, {"time_delta": timedelta(1)}, {"cron": EVERY_MINUTE, "cron_id": "x"}, {"interval_seconds": 5}],
    ids=["now", "later", "cron", "interval"],
)
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"function_args": (1, datetime.now(UTC))}, "tests.jobs.echo.* datetime .*strings, numbers"),
        ({"function_args": (b"bytes",)}, " bytes "),
        ({"function_kwargs": {"a": [{1, 2}]}}, " set "),
        ({"function_kwargs": {"a": object()}}, " object "),
        ({"function_args": ({(1, 2): 3},)}, "not tuple"),
        ({"function_args": (CIRCLE,)}, "Circular"),
    ],
    ids=["datetime", "bytes", "set", "object", "key", "circle"],
)
def test_what_json_cannot_hold_is_refused_before_redis_is_touched(
    as_json, redis_connection, monkeypatch, redis_answers, when, arguments, named
):
    if not redis_answers:
        monkeypatch.setenv("RQ_REDIS_URL", "redis://127.0.0.1:1/0")
    with pytest.raises(ArgumentError, match=rf"{named}.*RQ_SERIALIZER=pickle"):
        job_scheduler(echo, **arguments, **when)
    assert redis_connection.dbsize() == 0


@pytest.mark.parametrize("method", [Recorder().method, Numbers().method, Recorder.made])
def test_a_method_is_refused(as_json, redis_connection, method):
    with pytest.raises(ArgumentError, match=rf"{method.__name__} belongs to an object.*RQ_SERIALIZER=pickle"):
        job_scheduler(method)
    assert redis_connection.dbsize() == 0


def test_what_cannot_be_pickled_is_refused(redis_connection):
    with pytest.raises(ArgumentError, match=r"tests\.jobs\.echo can't be pickled"):
        job_scheduler(echo, (lambda: None,))
    assert redis_connection.dbsize() == 0


def test_json_turns_tuples_to_lists_and_keys_to_texts(as_json, queue):
    job = job_scheduler(echo, ((1, 2),), {"a": {1: None}})
    queue.work("short-running")
    assert queue.job(job.id).return_value() == [[[1, 2]], {"a": {"1": None}}]


def test_what_is_stored_is_json(as_json, queue, redis_connection):
    job_scheduler(echo, ("a",), queue_name="q")
    job_scheduler(echo, ("a",), queue_name="q", cron=EVERY_MINUTE, cron_id="x")
    assert json.loads(redis_connection.hget(DATA, "x")) == ["tests.jobs.echo", None, ["a"], {}]
    claimer = Claimer(redis_connection)
    [claim] = claimer.claim(now=claimer.look().first)
    assert json.loads(redis_connection.hget(f"rq:job:{claim.job_id}", "meta"))["cron_id"] == "x"
    queue.work("q")
    assert ledger.read(redis_connection).outcomes == {("q", "tests.jobs.echo", "succeeded"): 2}
    [entry] = queue.scheduled_jobs()
    assert (entry.args, entry.kwargs) == (("a",), {})


@WORKERS
def test_a_result_that_json_cannot_hold_is_lost_and_its_job_succeeds(as_json, redis_connection, worker_class):
    """As in RQ, a text is stored instead, and the job is finished."""
    job = queue_of("json", redis_connection).enqueue(a_datetime)
    worker_class(["q"], connection=redis_connection).work(burst=True)
    assert job.is_finished
    assert job.return_value() == "Unserializable return value"
    assert ledger.read(redis_connection).outcomes == {("q", "tests.jobs.a_datetime", "succeeded"): 1}
    assert not redis_connection.exists(ledger.RUNNING)


@WORKERS
@pytest.mark.parametrize("retries", [0, 1])
def test_a_job_of_the_other_serializer_fails_and_its_worker_goes_on(
    either_serializer, redis_connection, worker_class, retries
):
    queue = queue_of(OTHER[either_serializer], redis_connection)
    retry = Retry(max=retries) if retries else None
    lost = queue.enqueue(pid, meta={"correlation_id": "c"}, retry=retry)
    queue_of(either_serializer, redis_connection).enqueue(pid)
    worker_class(["q"], connection=redis_connection).work(burst=True)
    assert lost.get_status() == "failed"
    assert "DeserializationError" in lost.latest_result().exc_string
    assert queue.failed_job_registry.get_job_ids() == [lost.id]
    counted = {("q", "unknown", "failed"): 1, ("q", "tests.jobs.pid", "succeeded"): 1}
    assert ledger.read(redis_connection).outcomes == counted | (
        {("q", "unknown", "retried"): retries} if retries else {}
    )
    assert ledger.read(redis_connection).failures == {
        ("q", "rq.exceptions.DeserializationError"): 1 + retries
    }
    assert not redis_connection.exists(ledger.RUNNING)


def test_a_job_that_could_not_be_read_runs_after_changing_back(
    either_serializer, redis_connection, monkeypatch
):
    queue = queue_of(OTHER[either_serializer], redis_connection)
    job = queue.enqueue(pid, meta={"correlation_id": "c"}, retry=Retry(max=1))
    InProcessWorker(["q"], connection=redis_connection).work(burst=True)
    assert job.get_status() == "failed"
    queue.failed_job_registry.requeue(job.id)
    monkeypatch.setenv("RQ_SERIALIZER", OTHER[either_serializer])
    InProcessWorker(["q"], connection=redis_connection).work(burst=True)
    assert job.get_status() == "finished"


@WORKERS
def test_a_scheduled_job_of_the_other_serializer_holds_up_no_other(
    either_serializer, redis_connection, worker_class
):
    now = datetime.now(UTC)
    others = queue_of(OTHER[either_serializer], redis_connection)
    lost = others.enqueue_at(now, pid, meta={"correlation_id": "c"})
    job = queue_of(either_serializer, redis_connection).enqueue_at(now, pid)
    worker_class(["q"], connection=redis_connection).work(burst=True, with_scheduler=True)
    assert (lost.get_status(), job.get_status()) == ("failed", "finished")
    if either_serializer == "json":
        assert lost.get_meta() == {"correlation_id": "c"}  # as it was: a pickle worker can still run it


def command_line(url, *options):
    rq = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", url, *options, "q"]
    subprocess.run(rq, check=False, capture_output=True, timeout=30)


@pytest.mark.parametrize("how", ["fork", "burst", "rq worker", "rq worker, in process"])
def test_a_worker_unpickles_nothing(either_serializer, rq_redis_url, redis_connection, tmp_path, how):
    job = canary(redis_connection, tmp_path / "sung")
    if how == "fork":
        RecordingWorker(["q"], connection=redis_connection).work(burst=True, with_scheduler=True)
    elif how == "burst":
        Scheduler("burst-no-fork").work("q", with_scheduler=True)
    else:  # without --serializer: its queues, but not its worker, would unpickle
        name = "RecordingWorker" if how == "rq worker" else "InProcessWorker"
        command_line(rq_redis_url, "--worker-class", f"scheduler.workers.strategies.{name}")
    assert redis_connection.hget(job.key, "status") == b"failed"
    assert (tmp_path / "sung").exists() == (either_serializer == "pickle")


@pytest.mark.parametrize("retry", [None, Retry(max=1)])
def test_clean_up_unpickles_nothing(either_serializer, rq_redis_url, redis_connection, tmp_path, retry):
    queue = Queue("q", connection=redis_connection)
    job = queue.enqueue(kill_worker, meta={"canary": Canary(tmp_path / "sung")}, retry=retry)
    command_line(rq_redis_url)  # RQ's own worker: it unpickles
    (tmp_path / "sung").unlink()
    [token] = redis_connection.zrange("rq:wip:q", 0, -1)
    redis_connection.zadd("rq:wip:q", {token: 1})  # as if a minute and a half had passed
    InProcessWorker([queue], connection=redis_connection).clean_registries()
    assert redis_connection.hget(job.key, "status") == (b"queued" if retry else b"failed")
    assert (tmp_path / "sung").exists() == (either_serializer == "pickle")


def test_a_scheduler_unpickles_nothing(either_serializer, redis_connection, tmp_path):
    job = canary(redis_connection, tmp_path / "sung")
    redis_connection.delete("rq:queue:q")
    redis_connection.zadd("rq:scheduled:q", {job.id: 1})
    InProcessWorker(["q"], connection=redis_connection).work(burst=True, with_scheduler=True)
    assert redis_connection.hget(job.key, "status") == b"failed"
    assert (tmp_path / "sung").exists() == (either_serializer == "pickle")


def test_reading_a_job_unpickles_nothing(either_serializer, redis_connection, tmp_path):
    job = canary(redis_connection, tmp_path / "sung")
    with Scheduler() as scheduler:
        assert scheduler.job(job.id).origin == "q"
        assert [found.id for found in scheduler.get_queue("q").jobs] == [job.id]
    assert (tmp_path / "sung").exists() == (either_serializer == "pickle")


def test_a_cron_of_the_other_serializer_is_written_again_and_keeps_its_slot(
    queue, redis_connection, monkeypatch
):
    def reconcile():
        with declaring() as entries:
            job_scheduler(echo, ("a",), queue_name="q", cron=EVERY_MINUTE)
        return CronRegistry(redis_connection).reconcile(entries, now=datetime.now(UTC))[0]

    [id_] = reconcile().added
    claimer = Claimer(redis_connection)
    first = claimer.look().first
    assert reconcile().unchanged == (id_,)
    monkeypatch.setenv("RQ_SERIALIZER", "json")
    assert reconcile().changed == (id_,)
    assert claimer.look().first == first
    assert reconcile().unchanged == (id_,)
    Claimer(redis_connection).claim(now=first)
    InProcessWorker(["q"], connection=redis_connection).work(burst=True)
    assert ledger.read(redis_connection).outcomes == {("q", "tests.jobs.echo", "succeeded"): 1}


def test_a_cron_claim_unpickles_nothing(either_serializer, redis_connection, tmp_path):
    job_scheduler(echo, queue_name="q", cron=EVERY_MINUTE, cron_id="x")
    redis_connection.hset(
        DATA, "x", pickle.dumps(("tests.jobs.echo", None, (Canary(tmp_path / "sung"),), {}))
    )
    claimer = Claimer(redis_connection)
    [claim] = claimer.claim(now=claimer.look().first)
    assert not (tmp_path / "sung").exists()
    InProcessWorker(["q"], connection=redis_connection).work(burst=True)
    assert (tmp_path / "sung").exists() == (either_serializer == "pickle")
    assert redis_connection.hget(f"rq:job:{claim.job_id}", "status") == (
        b"finished" if either_serializer == "pickle" else b"failed"
    )


def test_a_worker_keeps_the_serializer_it_is_given_where_nothing_is_set(redis_connection):
    queue_of("json", redis_connection).enqueue(pid)
    json_serializer = SERIALIZERS["json"]
    assert configured() is not json_serializer
    InProcessWorker(["q"], connection=redis_connection, serializer=json_serializer).work(burst=True)
    assert ledger.read(redis_connection).outcomes == {("q", "tests.jobs.pid", "succeeded"): 1}


def test_the_pool_runs_json(as_json, redis_connection):
    code = "from scheduler import Scheduler; Scheduler('pool').work('q')"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        job = queue_of("json", redis_connection).enqueue(pid)
        wait_for(lambda: job.is_finished, seconds=30)
    finally:
        process.terminate()
        process.wait(20)


def test_a_scheduler_made_while_modules_are_imported_reads_the_variable_when_it_is_used(
    monkeypatch, redis_connection
):
    scheduler = Scheduler()
    monkeypatch.setenv("RQ_SERIALIZER", "json")
    scheduler.cron("q", EVERY_MINUTE, echo, ("a",), cron_id="x")
    assert json.loads(redis_connection.hget(DATA, "x")) == ["tests.jobs.echo", None, ["a"], {}]
