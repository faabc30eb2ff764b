"""A job is checked and serialized once, and equals RQ's for the same options."""

import functools
import sys
from datetime import UTC, datetime, timedelta

import pytest
import rq
from rq import Callback, Queue, Repeat, Retry
from rq.job import Job, JobStatus

from scheduler import Scheduler, Settings, functions, job_scheduler
from scheduler.cron.claims import Claimer
from scheduler.cron.constants import EVERY_MINUTE
from tests.jobs import echo, note_success, pid
from tests.processes.cutting_proxy import READONLY, CuttingProxy

WHEN = pytest.mark.parametrize(
    "when",
    [{}, {"time_delta": timedelta(1)}, {"cron": EVERY_MINUTE, "cron_id": "x"}],
    ids=["now", "later", "cron"],
)


class Counted:
    """An argument that counts how often it is pickled."""

    pickled = 0

    def __reduce__(self):
        Counted.pickled += 1
        return Counted, ()


def calls_of(function, call):
    """Return how often a function is called during `call`."""
    calls = 0

    def count(frame, event, _arg):
        nonlocal calls
        calls += event == "call" and frame.f_code is function.__code__

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return calls


@WHEN
def test_arguments_are_serialized_once(when, redis_connection):
    Counted.pickled = 0
    job_scheduler(echo, (Counted(),), **when)
    claimer = Claimer(redis_connection)
    if "cron" in when:
        slot = claimer.look().first
        assert len(claimer.claim(now=slot, clock=slot)) == 1
    assert Counted.pickled == 1


@WHEN
def test_the_import_path_is_found_once(when, redis_connection):
    job_scheduler(pid)
    made = functools.partial(job_scheduler, pid, **when)
    # A cron entry's job is made from the path, which is checked again.
    assert calls_of(functions.import_path, made) == (2 if "cron" in when else 1)


@pytest.fixture
def proxy(redis_connection):
    requests = []
    proxy = CuttingProxy(redis_connection.connection_pool.connection_kwargs["port"], requests.append)
    proxy.requests = requests
    yield proxy
    proxy.close()


def test_a_job_is_queued_in_one_round_trip(proxy, redis_connection):
    scheduler = Scheduler(connection=proxy.client(redis_connection))
    scheduler.enqueue("q", pid)  # RQ asks for the server's version first
    proxy.requests.clear()
    scheduler.enqueue("q", pid)
    [transaction] = proxy.requests
    assert (transaction[0], transaction[-1]) == ([b"MULTI"], [b"EXEC"])


def test_a_job_made_deferred_by_a_try_that_was_refused_is_queued_by_the_next(proxy, redis_connection):
    queue = Queue("q", connection=redis_connection)
    earlier = queue.enqueue(pid)
    scheduler = Scheduler(connection=proxy.client(redis_connection))
    scheduler.enqueue("q", pid)
    refused = []

    def refuse_once(commands):
        if commands[0] == [b"MULTI"] and not refused:
            refused.append(commands)
            earlier.set_status(JobStatus.FINISHED)
            return READONLY
        return None

    proxy.rule = refuse_once
    Counted.pickled = 0
    job = scheduler.enqueue("q", echo, Counted(), depends_on=earlier)
    assert len(refused) == Counted.pickled == 1
    assert job.get_status() == "queued"
    assert queue.job_ids[-1] == job.id


def stored(connection, job):
    """Return what Redis stores of a job, without what differs from one to the next."""
    fields = connection.hgetall(job.key)
    for name in (b"created_at", b"enqueued_at", b"meta", b"description", b"data"):
        fields.pop(name, None)
    return fields, connection.ttl(job.key), connection.smembers(job.dependencies_key)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"at_front": True},
        {"job_id": "mine", "unique": True},
        {"ttl": 60, "result_ttl": 5, "failure_ttl": 6, "job_timeout": "1h"},
        {"retry": Retry(max=2, interval=[1, 2])},
        {"repeat": Repeat(times=2, interval=3)},
        {"on_success": Callback(note_success), "on_failure": Callback(note_success, timeout=9)},
        {"on_stopped": Callback(note_success)},
        {"depends_on": "waiting"},
        {"depends_on": "done"},
        {"depends_on": ["waiting", "done"]},
        {"args": (1,), "kwargs": {"a": 2}},
        *([{"rate_limit": rq.RateLimit("k", 1)}] if hasattr(rq, "RateLimit") else []),
    ],
    ids=", ".join,
)
@pytest.mark.parametrize("later", [False, True])
def test_what_is_stored_is_what_rq_stores(options, later, redis_connection):
    due = timedelta(hours=1)
    seen = []
    for ours in (False, True):
        redis_connection.flushdb()
        queue = Queue("q", connection=redis_connection)
        queue.enqueue(pid, job_id="waiting")
        queue.enqueue(pid, job_id="done").set_status(JobStatus.FINISHED)
        if ours:
            scheduler = Scheduler(connection=redis_connection)
            job = scheduler.enqueue_in("q", due, echo, **options) if later else None
            job = job or scheduler.enqueue("q", echo, **options)
        else:
            job = queue.enqueue_in(due, echo, **options) if later else queue.enqueue(echo, **options)
        ids = [id_ if id_ in ("waiting", "done") else "it" for id_ in queue.job_ids]
        keys = sorted(key.replace(job.id.encode(), b"it") for key in redis_connection.scan_iter())
        found = Job.fetch(job.id, connection=redis_connection)
        call = (found.func_name, found.args, found.kwargs)
        seen.append((*stored(redis_connection, job), ids, keys, call, job.get_status(refresh=False)))
    assert seen[1] == seen[0]


@pytest.mark.parametrize(
    "options",
    [
        {"unique": True},
        {"unique": True, "job_id": "mine"},
        {"unique": True, "job_id": "other", "depends_on": "mine"},
        {"depends_on": [5]},
        {"job_id": "a/b c"},
        {"on_success": 5},
        {"webhooks": [5]},
        {"args": (1,), "extra": 2},
    ],
    ids=repr,
)
def test_what_rq_refuses_is_refused_as_rq_does(options, redis_connection):
    queue = Queue("q", connection=redis_connection)
    queue.enqueue(pid, job_id="mine")
    errors = []
    for enqueue in (queue.enqueue, functools.partial(Scheduler(connection=redis_connection).enqueue, "q")):
        try:
            enqueue(echo, **options)
        except Exception as error:  # noqa: BLE001
            errors.append((type(error), str(error)))
        else:
            errors.append(None)
    assert errors[1] == errors[0]


def test_extra_positional_arguments_are_refused_as_rq_does(queue):
    with pytest.raises(AssertionError, match="Extra positional arguments"):
        queue.enqueue("q", echo, 1, args=(2,))


def test_a_unique_job_for_later_is_refused_too(queue):
    queue.enqueue_in("q", timedelta(1), pid, job_id="mine", unique=True)
    with pytest.raises(Exception, match="mine"):
        queue.enqueue_in("q", timedelta(1), pid, job_id="mine", unique=True)


def test_a_pipeline_is_the_callers_to_execute(queue, redis_connection):
    with redis_connection.pipeline() as pipe:
        jobs = [queue.enqueue("q", pid, pipeline=pipe) for _ in range(3)]
        assert redis_connection.dbsize() == 0
        pipe.execute()
    assert Queue("q", connection=redis_connection).job_ids == [job.id for job in jobs]


def test_a_functions_own_group_id_is_its_own(queue):
    job = queue.enqueue("q", echo, group_id=5)
    queue.work("q")
    assert queue.job(job.id).return_value() == [(), {"group_id": 5}]


def test_a_scheduler_uses_the_settings_it_is_handed(rq_redis_url, redis_connection, monkeypatch):
    monkeypatch.setenv("RQ_REDIS_URL", "redis://127.0.0.1:1/0")
    settings = Settings(redis_url=rq_redis_url, serializer="json", job_buckets_seconds=(5.0,))
    with Scheduler("burst-no-fork", settings=settings) as scheduler:
        job = scheduler.enqueue("q", echo, 1)
        entry = scheduler.cron("q", EVERY_MINUTE, echo)
        assert scheduler.work("q")
        assert scheduler.job(job.id).return_value() == [[1], {}]
    assert job.data.startswith(b"[")
    assert entry.serializer == "json"
    later = datetime.now(UTC) + timedelta(minutes=1)
    [claim] = Claimer(redis_connection, settings=settings).claim(now=later)
    assert redis_connection.hget(Job.key_for(claim.job_id), "meta").startswith(b"{")
