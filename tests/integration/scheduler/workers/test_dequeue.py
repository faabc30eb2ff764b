"""A worker of several queues: jobs are always in some list, the first queue is first, waiting is free."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from rq import Queue, Retry, defaults
from rq.exceptions import DequeueTimeout, StopRequested

from scheduler.workers.dequeue import Taking, keeping
from scheduler.workers.strategies import InProcessWorker, RecordingWorker
from tests.jobs import pid, push, run_until
from tests.processes.cutting_proxy import AFTER, BEFORE, READONLY, CuttingProxy
from tests.servers import kill_with_children, wait_for

NAMES = ("first", 'od"d {queue}\n', "last/é")


@pytest.fixture
def queues(redis_connection):
    return [Queue(name, connection=redis_connection) for name in NAMES]


@pytest.fixture
def start(rq_redis_url):
    """Start a worker of these queues; kill what is left."""
    started = []

    def _start(names=NAMES, worker_class="scheduler.workers.RecordingWorker", url=rq_redis_url, **env):
        module, name = worker_class.rsplit(".", 1)
        code = (
            f"from redis import Redis\nfrom {module} import {name}\n"
            f"{name}({list(names)!r}, connection=Redis.from_url({url!r}), worker_ttl=20).work()"
        )
        process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **env})
        started.append(process)
        return process

    yield _start
    for process in started:
        if process.poll() is None:
            kill_with_children(process.pid)
        process.wait()


def waiting(connection, number):
    return connection.info("clients")["blocked_clients"] == number


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_worker_killed_as_it_takes_a_job_loses_none(redis_connection, queues, start, number):
    taken, *left = [queue.enqueue(pid, retry=Retry(max=1)) for queue in queues[:number]]
    killed = start(NAMES[:number], "tests.jobs.DiesAsItTakes")
    assert killed.wait(20) == -signal.SIGKILL
    first = queues[0]
    assert first.intermediate_queue.get_job_ids() == [taken.id]
    assert [queue.job_ids for queue in queues[1:number]] == [[job.id] for job in left]
    # RQ's maintenance sees it there, and once more a minute later.
    worker = RecordingWorker(queues[:number], connection=redis_connection)
    worker.clean_registries()
    redis_connection.set(first.intermediate_queue.get_first_seen_key(taken.id), time.time() - 61)
    worker.clean_registries()
    assert (first.job_ids, first.intermediate_queue.get_job_ids()) == ([taken.id], [])


@pytest.mark.parametrize("worker_class", ["StopsAsItTakes", "StopsAsItTakesInProcess"])
@pytest.mark.parametrize("number", [1, 2])
def test_told_to_stop_as_it_takes_a_job_a_worker_runs_it_and_ends(queues, start, number, worker_class):
    taken, *left = [queue.enqueue(pid) for queue in queues[:number]]
    worker = start(NAMES[:number], f"tests.jobs.{worker_class}")
    assert worker.wait(20) == 0
    assert taken.get_status(refresh=True) == "finished"
    assert [queue.job_ids for queue in queues[1:number]] == [[job.id] for job in left]
    assert not any(queue.intermediate_queue.get_job_ids() for queue in queues)


@pytest.mark.parametrize("number", [1, 3])
def test_told_to_stop_while_a_job_comes_it_gives_it_back(redis_connection, queues, number):
    taking, keys = Taking(), [queue.key for queue in queues[:number]]
    stopped = []

    def wait_for_a_job():
        try:
            keeping(Queue, taking).lpop(keys, 10, connection=redis_connection)
        except StopRequested:
            stopped.append(True)

    before = threading.active_count()
    thread = threading.Thread(target=wait_for_a_job)
    thread.start()
    # Until a thread waits for each queue: a job taken by polling a single queue is run first.
    wait_for(lambda: threading.active_count() == before + 1 + number and waiting(redis_connection, number))
    assert taking.stop()
    redis_connection.rpush(keys[0], "a1")
    thread.join(10)
    assert stopped
    assert redis_connection.lrange(keys[0], 0, -1) == [b"a1"]
    assert not any(queue.intermediate_queue.get_job_ids() for queue in queues)
    assert waiting(redis_connection, 0)
    assert not taking.stop()


@pytest.mark.parametrize("action", [BEFORE, "LOADING Redis is loading the dataset in memory"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_job_that_redis_did_not_let_it_read_goes_back(redis_connection, queues, number, action):
    jobs = [queue.enqueue(push, "order", queue.name) for queue in queues[:number]]
    hits = []

    def rule(commands):
        if hits or commands[0] != [b"HGETALL", jobs[0].key.encode()]:
            return None
        hits.append(commands)
        return action

    proxy = CuttingProxy(redis_connection.connection_pool.connection_kwargs["port"], rule)
    worker = InProcessWorker(NAMES[:number], connection=proxy.client(redis_connection))
    assert worker.work(burst=True)
    proxy.close()
    assert hits
    assert [value.decode() for value in redis_connection.lrange("order", 0, -1)] == list(NAMES[:number])
    assert not any(queue.intermediate_queue.get_job_ids() for queue in queues)


def tells_that_it_is_idle(commands):
    return commands[0][0] == b"HSET" and commands[0][-1] == b"idle"


@pytest.mark.parametrize("answer", [READONLY, BEFORE, AFTER])
@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_failover_just_after_a_job_costs_no_worker(redis_connection, queues, worker_class, answer):
    jobs = [queues[0].enqueue(pid) for _ in range(2)]
    hits = []

    def rule(commands):
        if hits or not tells_that_it_is_idle(commands) or jobs[0].get_status(refresh=True) != "finished":
            return None
        hits.append(commands)
        return answer

    proxy = CuttingProxy(redis_connection.connection_pool.connection_kwargs["port"], rule)
    worker = worker_class(NAMES[:1], connection=proxy.client(redis_connection))
    worker.work(burst=True)
    proxy.close()
    assert hits
    assert all(job.get_status(refresh=True) == "finished" for job in jobs)


@pytest.mark.parametrize("worker_class", ["InProcessWorker", "RecordingWorker"])
def test_told_to_stop_when_its_job_has_ended_and_redis_is_away_it_leaves(
    redis_connection, queues, start, worker_class
):
    job, away = queues[0].enqueue(pid), threading.Event()

    def rule(commands):
        if tells_that_it_is_idle(commands) and job.get_status(refresh=True) == "finished":
            away.set()
        return BEFORE if away.is_set() else None

    server = redis_connection.connection_pool.connection_kwargs
    proxy = CuttingProxy(server["port"], rule)
    login = f":{server['password']}@" if server.get("password") else ""
    url = f"redis://{login}127.0.0.1:{proxy.port}/{server['db']}"
    worker = start(NAMES[:1], f"scheduler.workers.strategies.{worker_class}", url)
    assert away.wait(30)
    worker.terminate()
    assert worker.wait(30) == 0
    proxy.close()


@pytest.mark.parametrize("worker_class", [InProcessWorker, RecordingWorker])
def test_a_worker_works_more_than_once(redis_connection, queues, worker_class):
    worker = worker_class(queues, connection=redis_connection)
    for _ in range(2):
        job = queues[0].enqueue(pid)
        assert worker.work(burst=True)
        assert job.get_status(refresh=True) == "finished"


@pytest.mark.parametrize("strategy", ["waits", "burst"])
def test_the_first_queue_s_jobs_go_first(redis_connection, queues, start, strategy):
    for queue in reversed(queues):
        for number in range(3):
            queue.enqueue(push, "order", f"{NAMES.index(queue.name)}.{number}")
    if strategy == "waits":
        start()
    else:
        InProcessWorker(queues, connection=redis_connection).work(burst=True)
    wait_for(lambda: redis_connection.llen("order") == 9)
    assert [value.decode() for value in redis_connection.lrange("order", 0, -1)] == [
        f"{queue}.{number}" for queue in range(3) for number in range(3)
    ]
    assert not any(queue.intermediate_queue.get_job_ids() for queue in queues)


def test_a_job_of_any_queue_wakes_the_worker_which_takes_no_other_meanwhile(redis_connection, queues, start):
    start()
    for queue in (*queues, *reversed(queues)):
        wait_for(lambda: waiting(redis_connection, 3))
        redis_connection.delete("running", "go")
        running = queue.enqueue(run_until, "go")
        wait_for(lambda: redis_connection.exists("running"))
        assert waiting(redis_connection, 0)
        others = [other.enqueue(pid) for other in queues]
        assert [other.job_ids for other in queues] == [[job.id] for job in others]
        redis_connection.set("go", 1)
        wait_for(lambda: all(job.get_status(refresh=True) == "finished" for job in (running, *others)))  # noqa: B023 (called in this turn)


def test_an_idle_worker_asks_redis_a_few_times_in_each_wait(redis_connection, start):
    start()
    wait_for(lambda: waiting(redis_connection, 3))
    before = redis_connection.info("commandstats")
    time_of_waits = time.monotonic()
    # Its waits last five seconds (a ttl of 20 s less RQ's 15): two rounds.
    blmoves = before["cmdstat_blmove"]["calls"]
    wait_for(lambda: redis_connection.info("commandstats")["cmdstat_blmove"]["calls"] >= blmoves + 6)
    assert time.monotonic() - time_of_waits > 4
    after = redis_connection.info("commandstats")
    asked = sum(
        after[name]["calls"] - before.get(name, {"calls": 0})["calls"]
        for name in after
        if name not in ("cmdstat_info", "cmdstat_client|list")
    )
    assert asked < 60


def test_of_two_jobs_at_once_the_first_queue_s_is_taken_and_the_other_stays_in_front(
    redis_connection, queues
):
    taken = []
    taking = keeping(Queue, Taking())
    keys = [queue.key for queue in queues]
    thread = threading.Thread(target=lambda: taken.append(taking.lpop(keys, 10, connection=redis_connection)))
    thread.start()
    wait_for(lambda: waiting(redis_connection, 3))
    with redis_connection.pipeline() as pipe:
        pipe.rpush(keys[2], "c1", "c2")
        pipe.rpush(keys[0], "a1")
        pipe.execute()
    thread.join(10)
    assert taken == [(keys[0].encode(), b"a1")]
    assert redis_connection.lrange(keys[2], 0, -1) == [b"c1", b"c2"]
    assert [queue.intermediate_queue.get_job_ids() for queue in queues] == [["a1"], [], []]


def test_the_wait_ends_in_time_and_leaves_no_connection_waiting(redis_connection, queues):
    with pytest.raises(DequeueTimeout):
        keeping(Queue, Taking()).lpop([queue.key for queue in queues], 1, connection=redis_connection)
    assert waiting(redis_connection, 0)


def test_of_very_many_queues_each_is_looked_at(redis_connection, start):
    names = [f"queue-{number}" for number in range(40)]
    start(names)
    wait_for(lambda: waiting(redis_connection, 32))
    job = Queue(names[-1], connection=redis_connection).enqueue(pid)
    wait_for(lambda: job.get_status(refresh=True) == "finished", seconds=10)


@pytest.mark.parametrize("rights", ["+@all", "+@all -client|unblock"])
def test_told_to_stop_while_it_waits_a_worker_ends_with_no_job(
    redis_connection, rq_redis_url, queues, start, rights, request
):
    redis_connection.execute_command("ACL", "SETUSER", "w", "on", ">pw", "~*", "&*", *rights.split())
    request.addfinalizer(lambda: redis_connection.execute_command("ACL", "DELUSER", "w"))
    server = rq_redis_url.removeprefix("redis://").rpartition("@")[2]
    worker = start(url=f"redis://w:pw@{server}")
    job = queues[2].enqueue(pid)
    wait_for(lambda: job.get_status(refresh=True) == "finished")
    wait_for(lambda: waiting(redis_connection, 3))
    worker.terminate()
    assert worker.wait(20) == 0
    wait_for(lambda: waiting(redis_connection, 0))
    left = queues[1].enqueue(pid)
    assert queues[1].job_ids == [left.id]


def test_rq_s_key_prefix_is_asked_for(redis_connection, rq_redis_url):
    prefix = "mine" if hasattr(defaults, "RQ_KEY_PREFIX") else "rq"  # rq 2 has none
    code = (
        "import sys; from redis import Redis; from rq import Queue\n"
        "from scheduler.workers.dequeue import Taking, keeping\n"
        "queues = [Queue(name, connection=Redis.from_url(sys.argv[1])) for name in ('a', 'b')]\n"
        "queues[1].enqueue('tests.jobs.pid', job_id='it')\n"
        "keeping(Queue, Taking()).lpop([queue.key for queue in queues], 5, connection=queues[0].connection)"
    )
    subprocess.run(
        [sys.executable, "-c", code, rq_redis_url], env={**os.environ, "RQ_KEY_PREFIX": "mine"}, check=True
    )
    assert redis_connection.lrange(f"{prefix}:queue:b:intermediate", 0, -1) == [b"it"]
