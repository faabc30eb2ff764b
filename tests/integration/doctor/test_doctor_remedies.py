"""The commands that the doctor ends with, run by a shell: each does what it says."""

import os
import shlex
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from rq import Queue
from rq.suspension import is_suspended, suspend

from rqmon.doctor.remedies import WHICH_REDIS, redis_command, requeue
from rqmon.why import lookup
from rqmon.why.answers import answer
from scheduler import RateLimit, TooManyRequests, job_scheduler
from scheduler.cron.store.registry import CronRegistry
from scheduler.serializers import SERIALIZERS
from scheduler.workers.strategies import InProcessWorker
from tests import ROOT
from tests.doctor import found, installed, is_found
from tests.jobs import fail, pid
from tests.processes.worker_process import process
from tests.servers import wait_for


@pytest.fixture
def shell(rq_redis):
    """Run a command in the tree."""

    def run(command, **environment):
        return subprocess.run(
            installed(command),
            shell=True,
            cwd=ROOT,
            env={**os.environ, "RQMON_ENV_FILE": "/nonexistent", **environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    return run


def failed(redis_connection, name="q", serializer=None):
    queue = Queue(name, connection=redis_connection, serializer=serializer)
    job = queue.enqueue(fail)
    InProcessWorker([queue], connection=redis_connection, serializer=serializer).work(burst=True)
    return job


def test_redis_is_asked_and_answers_as_it_does(shell, redis_connection):
    assert "used_memory_human:" in shell(redis_command("INFO", "memory"))
    assert shell(redis_command("CONFIG", "SET", "maxmemory", "0")) == "OK\n"
    assert shell(redis_command("config", "get", "maxmemory")) == "maxmemory\n0\n"
    redis_connection.rpush("a list", "\x1b[2J", b"\xff", "")
    assert shell(redis_command("LRANGE", "a list", "0", "-1")) == "\\x1b[2J\n\\xff\n\n"
    assert shell(redis_command("GET", "nothing")) == "(nil)\n"
    assert shell(redis_command("LLEN", "a list")) == "3\n"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        shell(redis_command("GET", "a list"))
    assert (failed.value.returncode, failed.value.stderr.count("\n")) == (2, 1)


def test_the_address_is_shown(shell, rq_redis):
    assert shell(WHICH_REDIS) == f"{rq_redis}\n"


def test_all_workers_go_on(shell, redis_connection):
    suspend(redis_connection)
    shell(found(redis_connection, "All workers are suspended").command)
    assert not is_suspended(redis_connection)


@pytest.mark.parametrize("serializer", ["pickle", "json"])
@pytest.mark.parametrize("name", ["q", "-q; x"])
def test_a_failed_job_is_queued_again(shell, redis_connection, serializer, name):
    job = failed(redis_connection, name, SERIALIZERS[serializer])
    shell(answer(lookup.take(redis_connection, job.id, serializer=serializer, has_stack=False)).command)
    assert job.get_status() == "queued"
    job = failed(redis_connection, name, SERIALIZERS[serializer])
    shell(requeue(name, serializer=serializer))
    assert job.get_status() == "queued"


def test_a_failed_job_is_explained(shell, redis_connection):
    failed(redis_connection)
    assert "It raised ValueError" in shell(found(redis_connection, "1 failed job: ValueError").command)


def test_crons_are_removed_and_resumed(shell, redis_connection):
    for id_ in ("a", "b"):
        job_scheduler(pid, cron="0 0 1 1 *", cron_id=id_, queue_name="q")
    shell(found(redis_connection, "2 cron entries do the same").command)
    assert [entry.id for entry in CronRegistry(redis_connection).entries()] == ["a"]
    CronRegistry(redis_connection).pause("a")
    shell(found(redis_connection, "1 cron entry is paused").command)
    assert not is_found(redis_connection, "paused")


def test_a_worker_that_is_missing_is_started_with_its_scheduler(redis_connection):
    job = Queue("-q; x", connection=redis_connection).enqueue_at(datetime.now(UTC) - timedelta(1), pid)
    command = found(redis_connection, "No scheduler runs for -q; x").command
    with process(*shlex.split(installed(command))):
        wait_for(lambda: job.get_status() == "finished", what="the job is done")


def test_a_cron_process_that_is_missing_is_started(redis_connection):
    job_scheduler(pid, cron="0 0 1 1 *", cron_id="yearly", queue_name="q")
    with process(*shlex.split(installed(found(redis_connection, "No cron process runs").command))):
        wait_for(lambda: not is_found(redis_connection, "cron process"), what="a cron process works")


@pytest.mark.parametrize("resource", ["companies-house", "-e's \"$(house)"])
def test_where_a_used_up_limit_is_written_is_shown(redis_connection, tmp_path, resource):
    limit = RateLimit(resource, "importer", 1, 300, connection=redis_connection)
    limit.increment_usage()
    for _ in range(2):
        with pytest.raises(TooManyRequests):
            limit.increment_usage()
    finding = found(redis_connection, "is used up: 1 of 1 in 5 min.")
    assert "raise max_requests=1 where" in finding.cause
    for path in ("app/calls.py", ".venv/lib/other.py"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(f"RateLimit(\n    '''{resource}''',\n    max_requests=1,\n)\n")
    shown = subprocess.run(
        finding.command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "./app/calls.py-" in shown
    assert "max_requests=1" in shown
    assert ".venv" not in shown
