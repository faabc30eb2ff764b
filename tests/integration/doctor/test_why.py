"""What a job waits for, or why it ended as it did."""

import re
import time
from datetime import timedelta

import pytest
from redis.connection import Connection
from rq import Retry
from rq.command import send_stop_job_command
from rq.suspension import suspend

from rqmon.why import lookup
from rqmon.why.answers import answer
from scheduler import SHORT_RUNNING_QUEUE, job_scheduler
from tests.doctor import run
from tests.jobs import fail, kill_horse, pid, refuse, run_until, sleep_in_steps
from tests.processes.worker_process import process, worker
from tests.servers import wait_for


def test_its_turn_and_the_pace_of_the_queue(redis_connection, rq_redis_url, queue, why):
    with worker(redis_connection, rq_redis_url):
        for _ in range(2):
            queue.enqueue(sleep_in_steps, 0.5)
        wait_for(lambda: redis_connection.zcard("rq:finished:q") == 2, what="two jobs are done")
        running = queue.enqueue(run_until, "go on")
        wait_for(lambda: redis_connection.llen("running") == 1, what="the job runs")
        for _ in range(9):
            queue.enqueue(pid)
        it = why(queue.enqueue(pid).id)
        assert (it.status, it.answer, it.command) == (
            "queued",
            "It waits for its turn. It is number 10 of 10 in q.",
            "",
        )
        assert re.fullmatch(
            r"1 worker listens\. Jobs here run for \d\.\d s on average: it starts in about \d+ s\.",
            it.details[0],
        )
        it = why(running.id)
        assert it.answer.startswith("It runs since ")
        assert it.answer.endswith(" in worker ill.")
        assert it.details == ("It may run for 3 min.",)


def test_nobody_listens(queue, why):
    queue.enqueue(pid)
    it = why(queue.enqueue(pid).id)
    assert (it.answer, it.details[0]) == ("No worker listens to q.", "It is number 2 of 2 in q.")
    assert it.command == ".venv/bin/rqmon worker q"


def test_nobody_listens_to_a_queue_of_the_stack(redis_connection):
    job = job_scheduler(pid, queue_name=SHORT_RUNNING_QUEUE)
    for has_stack, command in ((True, "make start-rq-mon"), (False, ".venv/bin/rqmon worker short-running")):
        facts = lookup.take(redis_connection, job.id, serializer="pickle", has_stack=has_stack)
        assert answer(facts).command == command


def test_suspended(redis_connection, queue, why):
    suspend(redis_connection)
    it = why(queue.enqueue(pid).id)
    assert it.answer == "All workers are suspended: somebody ran rq suspend."
    assert it.command == ".venv/bin/rq resume"


def test_a_time_to_come(redis_connection, rq_redis_url, queue, why):
    job = queue.enqueue_in(timedelta(hours=5), pid)
    it = why(job.id)
    assert (it.answer, "in 5 h" in it.details[0]) == (
        "No scheduler runs for q, so nobody queues it.",
        True,
    )
    with worker(redis_connection, rq_redis_url, "--with-scheduler"):
        wait_for(
            lambda: redis_connection.exists("rq:scheduler-lock:q") == 1, what="the scheduler has its lock"
        )
        it = why(job.id)
        assert it.answer.startswith("It is scheduled at ")
        assert (it.answer.endswith(", in 5 h."), it.command) == (True, "")


def test_success(queue, why):
    job = queue.enqueue(pid)
    run(queue)
    it = why(job.id)
    assert it.answer.startswith("It succeeded after 0.")
    assert (it.details[0].startswith("Redis keeps it until"), it.command) == (True, "")


def test_an_exception(queue, why):
    job = queue.enqueue(fail)
    run(queue)
    it = why(job.id)
    assert it.answer.startswith("It raised ValueError: spanner in the works after 0.")
    assert it.command == f".venv/bin/rq requeue --queue=q {job.id}"


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (kill_horse, {}, "The process that ran it was killed after "),
        (
            sleep_in_steps,
            {"args": (30,), "job_timeout": 1},
            "It ran longer than it may, 1 s, and was ended after ",
        ),
        (refuse, {}, "A rate limit refused it after "),
        (
            "no_such_module.function",
            {},
            "It raised ValueError: Invalid attribute name: no_such_module.function",
        ),
    ],
    ids=["killed", "timeout", "rate limit", "not there"],
)
def test_other_ends(redis_connection, rq_redis_url, queue, why, function, options, said):
    with worker(redis_connection, rq_redis_url):
        job = queue.enqueue(function, **options)
        wait_for(lambda: job.get_status() == "failed", what="it failed")
        assert why(job.id).answer.startswith(said)


def test_a_worker_that_died_with_it(redis_connection, rq_redis_url, queue, why):
    job = queue.enqueue(pid)
    options = ["--url", rq_redis_url, "--worker-class", "tests.jobs.DiesBeforeItsHorse"]
    with process("-m", "rq.cli", "worker", *options, "q") as ill:
        ill.wait(60)
    assert "starts it now or died" in why(job.id).answer
    redis_connection.zadd("rq:wip:q", dict.fromkeys(redis_connection.zrange("rq:wip:q", 0, -1), 1))
    it = why(job.id)
    assert it.answer == "A worker took it from q and died before it ran."
    run(queue)  # its maintenance gives it up
    it = why(job.id)
    assert (it.status, it.answer.startswith("Its worker ")) == ("failed", True)
    assert "died while it ran" in it.answer


def test_a_worker_that_died_as_it_took_it(rq_redis_url, queue, why):
    job = queue.enqueue(pid)
    options = ["--url", rq_redis_url, "--worker-class", "tests.jobs.DiesAsItTakes"]
    with process("-m", "rq.cli", "worker", *options, "q") as ill:
        ill.wait(60)
    assert why(job.id).answer == "A worker took it from q and did not start it: it died at that moment."


def test_somebody_stopped_it(redis_connection, rq_redis_url, queue, why):
    with worker(redis_connection, rq_redis_url):
        job = queue.enqueue(run_until, "never")
        wait_for(lambda: redis_connection.llen("running") == 1, what="the job runs")
        send_stop_job_command(redis_connection, job.id)
        wait_for(lambda: job.get_status() == "stopped", what="it is stopped")
        assert why(job.id).answer.startswith("Somebody stopped it while it ran after ")


def test_somebody_canceled_it(queue, why):
    job = queue.enqueue(pid)
    job.cancel()
    assert why(job.id).answer == "Somebody canceled it before it ran."


def test_somebody_canceled_it_after_a_run(queue, why):
    job = queue.enqueue(fail, retry=Retry(max=3, interval=7_200))
    run(queue)
    job.cancel()
    assert why(job.id).answer.startswith("Somebody canceled it after it had started at ")


def test_a_job_that_is_nowhere(redis_connection, queue, why):
    job = queue.enqueue(pid)
    redis_connection.lrem("rq:queue:q", 1, job.id)
    assert why(job.id).answer.startswith("It counts as queued, and is not in q: it is lost")


def test_no_such_job_and_one_whose_data_is_gone(redis_connection, queue, why):
    it = why("nobody")
    assert (it.status, it.answer) == ("", "There is no such job.")
    job = queue.enqueue(fail)
    run(queue)
    redis_connection.delete(job.key)
    it = why(job.id)
    assert (it.status, it.details[0]) == ("", "It is among the failed jobs of q.")


def test_odd_fields_cost_themselves_alone(redis_connection, queue, why):
    job = queue.enqueue(pid)
    for field, value in (("enqueued_at", "soon"), ("timeout", "long"), ("dependency_ids", b"\xff")):
        redis_connection.hset(job.key, field, value)
    redis_connection.set("rqmon:ledger:jobs", "text")
    redis_connection.set(f"rq:results:{job.id}", "text")
    assert why(job.id).answer == "No worker listens to q."


def test_its_round_trips_are_two_at_any_size(redis_connection, why, monkeypatch):
    for number in range(200):
        job = job_scheduler(pid, queue_name=f"q{number}")
    sent = []
    send = Connection.send_packed_command

    def counted(self, *args, **options):
        sent.append(1)
        return send(self, *args, **options)

    monkeypatch.setattr(Connection, "send_packed_command", counted)
    started = time.monotonic()
    assert why(job.id).status == "queued"
    assert (len(sent), time.monotonic() - started < 2) == (2, True)
    assert why("nobody").status == ""
    assert len(sent) == 4
