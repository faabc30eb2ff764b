"""Requeue, delete, empty, compact: each job by itself, missing ones are named, and 10,000 are quick."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.registry import FinishedJobRegistry

from rqmon.guarded_rq_dashboard import views
from tests.jobs import pid
from tests.processes.rq_dashboard_process import LOGIN, failed_ids, queued_ids


def test_what_is_gone_is_named_and_the_rest_requeued(dashboard, valkey, failed_jobs):
    ids = failed_jobs(6)
    valkey.client.delete(Job.key_for(ids[2]))
    answer = dashboard.post("/requeue/mine").json()
    assert (answer["status"], answer["count"], answer["gone"]) == ("OK", 5, [ids[2]])
    assert answer["message"] == f"Gone already, and now taken from this list: {ids[2]}."
    assert (sorted(queued_ids(valkey)), failed_ids(valkey)) == (sorted({*ids} - {ids[2]}), [])
    SimpleWorker(["mine"], connection=valkey.client).work(burst=True)
    assert len(FinishedJobRegistry("mine", connection=valkey.client).get_job_ids()) == 5


@pytest.mark.parametrize("state", [state for state in views.STATES if state != "queued"])
def test_emptying_a_registry_deletes_the_rest_and_names_what_is_gone(dashboard, valkey, failed_jobs, state):
    ids = failed_jobs(3)
    entries = {f"{id_}:execution" if state == "started" else id_: 1 for id_ in ids}
    key = views.REGISTRIES[state]("mine", connection=valkey.client).key
    valkey.client.delete("rq:failed:mine", Job.key_for(ids[0]))
    valkey.client.zadd(key, entries)
    valkey.client.xadd(f"rq:results:{ids[1]}", {"type": 1})
    assert dashboard.post(f"/queue/mine/{state}/empty").json()["gone"] == [ids[0]]
    assert set(valkey.client.scan_iter()) <= {b"rq:queues"}


def test_compacting_keeps_the_others_in_their_places(dashboard, valkey):
    ids = [
        job.id for job in Queue("mine", connection=valkey.client).enqueue_many([Queue.prepare_data(pid)] * 5)
    ]
    valkey.client.delete(Job.key_for(ids[1]), Job.key_for(ids[3]))
    assert dashboard.post("/queue/mine/compact").json()["gone"] == [ids[1], ids[3]]
    assert queued_ids(valkey) == [ids[0], ids[2], ids[4]]
    assert dashboard.post("/queue/nosuch/compact").json() == {"status": "OK"}


def test_a_requeued_job_does_not_expire_as_its_failure_would_have(dashboard, valkey, failed_jobs):
    [id_] = failed_jobs(1)
    valkey.client.expire(Job.key_for(id_), 60)
    assert dashboard.post(f"/job/{id_}/requeue").json() == {"status": "OK"}
    assert valkey.client.ttl(Job.key_for(id_)) == -1
    job = Job.fetch(id_, connection=valkey.client)
    assert (job.get_status(), job.started_at, job.ended_at) == ("queued", None, None)


def test_deleting_a_job_takes_it_from_its_list(dashboard, valkey, failed_jobs):
    [id_] = failed_jobs(1)
    queued = Queue("mine", connection=valkey.client).enqueue(pid)
    for each in (id_, queued.id):
        assert dashboard.post(f"/job/{each}/delete").json() == {"status": "OK"}
    assert (failed_ids(valkey), queued_ids(valkey)) == ([], [])
    assert dashboard.post(f"/job/{id_}/delete").status_code == 404
    assert dashboard.post(f"/job/{id_}/requeue").status_code == 404


def test_ten_thousand_jobs_are_requeued_once_while_two_people_press(dashboard, valkey, failed_jobs):
    ids = failed_jobs(10_000)
    http = httpx.Client(base_url=dashboard.origin, auth=LOGIN, timeout=60)
    with http, ThreadPoolExecutor(2) as threads:
        headers = {"Origin": dashboard.origin}
        answers = list(threads.map(lambda _: http.post("/requeue/mine", headers=headers), range(2)))
    assert sum(answer.json()["count"] for answer in answers) == 10_000
    assert sorted(queued_ids(valkey)) == sorted(ids)
    # 3.4 s with twelve processes on two cores; RQ takes five round trips per job.
    assert max(answer.elapsed.total_seconds() for answer in answers) < 15
