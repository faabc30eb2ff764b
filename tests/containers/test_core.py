"""The core with Redis in a container, and our image with it."""

import os
import re
import subprocess
import sys

import pytest
import yaml
from rq import Queue
from testcontainers.community.redis import RedisContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from scheduler.ledger import jobs as ledger
from scheduler.serializers import SERIALIZERS
from tests import ROOT
from tests.containers.containers import docker

REDIS = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["redis"]["image"]
REDIS = re.sub(r"\$\{\w+:-(.*)\}", r"\1", REDIS)
# Tests are left out that take long and tell nothing about this server: two simulated years, and tests with
# their own servers, which are killed, cut off or refuse.
_SCHEDULER = "tests/integration/scheduler"
_OF_THEIR_OWN = (
    "cron/test_cron_simulation.py",
    "plugin",
    "test_connections.py",
    "test_django.py",
    "test_server_version.py",
    "workers/test_burst_scheduler.py",
    "workers/test_once.py",
    "workers/test_resilience.py",
    "workers/test_told_to_stop.py",
    "workers/test_unruly_jobs.py",
)
CORE = (
    _SCHEDULER,
    *(f"--ignore={_SCHEDULER}/{name}" for name in _OF_THEIR_OWN),
    f"--deselect={_SCHEDULER}/workers/test_workers.py::"
    "test_a_worker_goes_on_when_redis_was_away_and_so_does_its_scheduler",
)


@pytest.fixture(scope="module")
def network():
    with Network() as network:
        yield network


@pytest.fixture(scope="module")
def server(network):
    with (
        RedisContainer(REDIS, password="secret").with_network(network).with_network_aliases("redis") as server
    ):
        yield server


def test_the_cores_own_tests_pass_on_it(server):
    url = f"redis://:secret@{server.get_container_host_ip()}:{server.get_exposed_port(6379)}/0"
    assert all((ROOT / _SCHEDULER / name).exists() for name in _OF_THEIR_OWN)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CORE],
        cwd=ROOT,
        env={**os.environ, "RQ_TEST_REDIS_URL": url},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    summary = done.stdout.splitlines()[-1]
    assert int(re.search(r"(\d+) passed", summary)[1]) > 100, summary
    assert "skipped" not in summary


@pytest.mark.parametrize("name", SERIALIZERS)
def test_our_image_runs_jobs_from_it(server, network, containers, name):
    image = containers.inspect("rq_short")["Config"]["Image"]
    client = server.get_client()
    client.flushall()
    queue = Queue("short-running", connection=client, serializer=SERIALIZERS[name])
    job = queue.enqueue("rqmon.demo.jobs.work_for", 0)
    worker = (
        DockerContainer(image)
        .with_network(network)
        .with_env("RQ_REDIS_URL", "redis://:secret@redis:6379/0")
        .with_env("RQ_SERIALIZER", name)
        .with_command("python short-running-worker.py")
        .waiting_for(LogMessageWaitStrategy("job_finished|Job OK"))
    )
    with worker:
        assert job.get_status(refresh=True) == "finished"
    assert ledger.read(client).outcomes == {("short-running", "rqmon.demo.jobs.work_for", "succeeded"): 1}


def test_our_image_holds_no_hidden_file(containers):
    shown = docker("exec", containers.id("rq_short"), "find", "/app", "-mindepth", "1", "-name", ".*")
    assert shown == "", ".env, .git and the like have no place there"
