"""A job's page shows any job, result or meta; one odd thing affects nothing else."""

import datetime
import decimal
import re

import pytest
from rq import Queue, SimpleWorker
from rq.job import Dependency
from rq.results import Result

from tests.jobs import echo, pid
from tests.odd_values import Mute, Point
from tests.processes.rq_dashboard_process import HOSTILE, seems_to_run


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


CYCLE = []
CYCLE.append(CYCLE)
RESULTS = {
    "set": ({1}, "{1}"),
    "bytes": (b"\xff", r"b'\xff'"),
    "datetime": (datetime.date(2026, 1, 2), "datetime.date(2026, 1, 2)"),
    "Decimal": (decimal.Decimal("1.10"), "Decimal('1.10')"),
    "dataclass": (Point(1), "Point(x=1)"),
    "nan": (float("nan"), "nan"),
    "cycle": (CYCLE, "[[...]]"),
    "mute": (Mute(), "<Mute: its repr raises ValueError>"),
    "key": ({(1, 2): 3}, "{(1, 2): 3}"),
    "keys": ({1: "a", "b": 2}, '{\n  "1": "a",\n  "b": 2\n}'),
    "long number": (12345678901234567891, "12345678901234567891"),
    "longer number": (10**5000, "<int: its repr raises ValueError>"),
    "nested": (nested(400), None),
    "surrogate": ("\ud800", '"\ud800"'),
    "hostile": (HOSTILE, f'"{HOSTILE}"'),
    "none": (None, "null"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_and_meta_that_json_cannot_hold_are_shown_as_text(dashboard, valkey, name):
    value, text = RESULTS[name]
    queue = Queue("mine", connection=valkey.client)
    job = queue.enqueue(echo, meta={"value": "replaced below"})
    SimpleWorker([queue], connection=valkey.client).work(burst=True)
    job.refresh()
    valkey.client.hset(job.key, "meta", job.serializer.dumps({"value": value}))
    valkey.client.delete(f"rq:results:{job.id}")
    Result.create(job, Result.Type.SUCCESSFUL, ttl=60, return_value=value)
    shown = dashboard.http.get(f"/0/data/job/{job.id}.json")
    assert shown.status_code == 200
    if text is not None:
        assert shown.json()["result_text"] == text
    assert "value" in shown.json()["metadata"] or "repr raises" in shown.json()["metadata"]


def test_a_huge_result_is_cut(dashboard, valkey):
    queue = Queue("mine", connection=valkey.client)
    job = queue.enqueue(echo, "x" * 1_000_000)
    SimpleWorker([queue], connection=valkey.client).work(burst=True)
    shown = dashboard.http.get(f"/0/data/job/{job.id}.json")
    assert len(shown.content) < 500_000
    assert re.search(r"\.\.\. \([\d,]+ more characters\)$", shown.json()["result_text"])


def test_a_job_page_names_what_the_job_depends_on(dashboard, valkey):
    queue = Queue("mine", connection=valkey.client)
    first, second = queue.enqueue(pid), queue.enqueue(pid)
    job = queue.enqueue(pid, depends_on=Dependency([first, second]))
    first.delete()
    shown = dashboard.http.get(f"/0/data/job/{job.id}.json").json()
    stands = dict(zip(shown["depends_on"], shown["depends_on_status"], strict=True))
    assert stands == {first.id: "expired", second.id: "active"}


def test_one_odd_thing_in_redis_costs_itself_alone(dashboard, valkey):
    queue = Queue("mine", connection=valkey.client)
    good, bad = queue.enqueue(pid), queue.enqueue(pid)
    fields = (
        "created_at",
        "enqueued_at",
        "status",
        "description",
        "meta",
        "data",
        "origin",
        "timeout",
        "result_ttl",
    )
    valkey.client.hset(bad.key, mapping=dict.fromkeys(fields, b"\xff"))
    valkey.client.xadd(f"rq:results:{bad.id}", {"type": "x", "exc_string": "x", "return_value": "x"})
    valkey.client.set("rq:job:text", "x")
    valkey.client.set("rq:finished:mine", "x")
    valkey.client.rpush(queue.key, "text", "gone", b"\xff", "a/b", "")
    valkey.client.sadd("rq:queues", b"rq:queue:\xff")
    worker = SimpleWorker([queue], connection=valkey.client, name="good")
    worker.register_birth()
    seems_to_run(worker, "gone")
    valkey.client.sadd("rq:workers", "rq:worker:gone", "rq:worker:bad", b"rq:worker:\xff")
    bad_worker = dict.fromkeys(("birth", "last_heartbeat", "pid", "queues", "total_working_time"), b"\xff")
    valkey.client.hset("rq:worker:bad", mapping={**bad_worker, "current_job": bad.id})
    before = sorted(valkey.client.smembers("rq:workers")), valkey.client.lrange(queue.key, 0, -1)
    shown = dashboard.http.get("/0/data/jobs/mine/queued/10/asc/1.json").json()["jobs"]
    assert [job["id"] for job in shown] == [good.id, bad.id]
    assert dashboard.http.get(f"/0/data/job/{bad.id}.json").json()["status"] == "\ufffd"
    assert dashboard.http.get(f"/0/view/job/{bad.id}").status_code == 200
    for state in ("finished", "failed"):
        valkey.client.set(f"rq:{state}:odd", "x")
    for state in ("finished/10/asc", "failed/10/dsc"):
        shown = dashboard.http.get(f"/0/data/jobs/odd/{state}/1.json")
        assert (shown.status_code, "is no list of jobs" in shown.text) == (404, True)
    workers = {
        worker["name"]: worker for worker in dashboard.http.get("/0/data/workers.json").json()["workers"]
    }
    assert workers["good"]["current_job"]["job_id"] == "gone"
    assert workers["good"]["current_job"]["description"].startswith("This job is gone")
    assert workers["bad"]["pid"] is None
    queues = {queue["name"]: queue for queue in dashboard.http.get("/0/data/queues.json").json()["queues"]}
    assert queues["mine"]["count"] == 7
    assert "\ufffd" in queues
    after = sorted(valkey.client.smembers("rq:workers")), valkey.client.lrange(queue.key, 0, -1)
    assert after == before  # viewing changes nothing


def test_a_worker_is_shown_with_the_job_that_it_runs(dashboard, valkey):
    queue = Queue("mine", connection=valkey.client)
    worker = SimpleWorker([queue], connection=valkey.client)
    worker.register_birth()
    job = queue.enqueue(pid)
    [shown] = dashboard.http.get("/0/data/workers.json").json()["workers"]
    assert shown["current_job"] == "idle"
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    [shown] = dashboard.http.get("/0/data/workers.json").json()["workers"]
    assert shown["current_job"]["job_id"] == job.id
