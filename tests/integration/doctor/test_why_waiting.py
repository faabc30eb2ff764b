"""What a job waits for that runs again, or that depends on others."""

import pytest
from rq import Repeat, Retry
from rq.job import Dependency

from rqmon.why import lookup
from rqmon.why.answers import answer
from rqmon.why.job import JobFacts
from scheduler.workers.strategies import InProcessWorker
from tests.doctor import run
from tests.jobs import again, fail, fail_when_repeated, pid


def test_a_retry(redis_connection, queue, why):
    job = queue.enqueue(fail, retry=Retry(max=3, interval=7_200))
    run(queue)
    it = why(job.id)
    assert it.details[0].startswith("It failed, and runs again at ")
    assert it.details[1] == "Retries left after that: 2."


@pytest.mark.parametrize("result_ttl", [500, 0])
def test_a_repeat(queue, why, result_ttl):
    job = queue.enqueue(pid, repeat=Repeat(times=3, interval=7_200), result_ttl=result_ttl)
    run(queue)
    it = why(job.id)
    assert it.details[0].startswith("It succeeded, and runs again at ")
    assert it.details[1:] == ("Repeats left after that: 2.",)


def test_a_repeat_that_failed_after_a_success(redis_connection, queue, why):
    options = {"repeat": Repeat(times=3), "retry": Retry(max=1, interval=7_200)}
    job = queue.enqueue(fail_when_repeated, 3, **options)
    run(queue)
    it = why(job.id)
    assert it.details[0].startswith("It ran, and runs again at ")  # RQ keeps the result of the success alone
    assert it.details[1:] == ("Repeats left after that: 2.", "Retries left after that: 0.")


def test_a_retry_that_it_asked_for(queue, why):
    job = queue.enqueue(again, 7_200)
    run(queue)
    assert why(job.id).details[0].startswith("It returned a Retry, and runs again at ")


def test_another_job(queue, why):
    parent = queue.enqueue(fail)
    child = queue.enqueue(pid, depends_on=parent)
    it = why(child.id)
    assert it.answer == f"It waits until these have succeeded: {parent.id} (queued)."
    assert it.command == f".venv/bin/rqmon why {parent.id}"
    run(queue)
    it = why(child.id)
    assert it.answer == f"It waits for job {parent.id}, which failed: it will not be queued."
    assert it.command == f".venv/bin/rqmon why {parent.id}"
    assert it.details[-1] == "It is queued when that has been queued again and has succeeded."


def test_another_job_that_is_gone_is_not_waited_for(queue, why):
    gone, there = queue.enqueue(pid), queue.enqueue(pid)
    child = queue.enqueue(pid, depends_on=[gone, there])
    gone.delete()
    it = why(child.id)
    assert it.answer == f"It waits until these have succeeded: {gone.id} (gone), {there.id} (queued)."
    assert it.command == f".venv/bin/rqmon why {there.id}"
    run(queue)  # RQ queues it, though the other one is gone
    assert why(child.id).status == "finished"


def test_nothing_is_left_to_wait_for(queue, why):
    parent = queue.enqueue(pid)
    child = queue.enqueue(pid, depends_on=parent)
    parent.delete()
    run(queue)
    it = why(child.id)
    assert it.answer == f"It will not be queued: what it depends on has ended or is gone, {parent.id} (gone)."
    assert it.details[-1].endswith("and delete this one.")


def test_another_job_that_may_fail(queue, why):
    bad, good = queue.enqueue(fail), queue.enqueue(pid)
    child = queue.enqueue(pid, depends_on=Dependency([bad, good], allow_failure=True))
    InProcessWorker([queue], connection=queue.connection).work(burst=True, max_jobs=1)
    it = why(child.id)
    assert it.answer == f"It waits until these have ended: {bad.id} (failed), {good.id} (queued)."
    run(queue)
    assert why(child.id).status == "finished"


def test_another_job_that_was_canceled(queue, why):
    parent = queue.enqueue(pid)
    child = queue.enqueue(pid, depends_on=Dependency(parent, allow_failure=True))
    parent.cancel()
    it = why(child.id)
    assert it.answer == f"It waits for job {parent.id}, which was canceled: it will not be queued."
    assert it.command == ""


def test_a_job_that_moves_meanwhile_is_looked_at_again(queue, why, monkeypatch):
    parent = queue.enqueue(pid)
    child = queue.enqueue(pid, depends_on=parent)
    ask = lookup.ask

    def slowly(connection, commands):
        if ("position",) in commands:
            run(queue)
        return ask(connection, commands)

    monkeypatch.setattr(lookup, "ask", slowly)
    it = why(child.id)
    assert (it.status, it.answer.startswith("It succeeded")) == ("finished", True)


def test_it_is_being_queued():
    it = answer(JobFacts(id="j", now=1.0, status="ready_to_enqueue", queue="q"))
    assert it.answer == "What it waited for has ended, and RQ is queueing it."
    assert it.command == ".venv/bin/rqmon worker q"
