"""What the container tests share: one real stack, and an engine, without which they are skipped."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.compose import DockerCompose

from rqmon.stack.compose import engine_answers
from rqmon.stack.environment import complete_env_file
from tests import ROOT
from tests.containers.containers import Containers, docker
from tests.stack import Stack

HAS_ENGINE = engine_answers()


def pytest_runtest_setup():
    if not HAS_ENGINE:
        pytest.skip("no Docker engine with Compose answers; see CONTRIBUTING.md")


@contextlib.contextmanager
def started(folder: Path, *settings: str) -> Iterator[Containers]:
    """Start the stack of the two compose files as people do, with these lines in `.env`."""
    stack = Stack.new("docker", folder)
    with stack.env_file.open("a") as file:
        file.writelines(f"{line}\n" for line in settings)
    complete_env_file(stack.env_file)
    compose = DockerCompose(
        ROOT,
        ["docker-compose.yml", "docker-compose-rq-monitor.yml"],
        env_file=str(stack.env_file),
        profiles=["preview", "demo"],
    )
    with pytest.MonkeyPatch.context() as patch:
        # The shell may have variables of the user's own stack, which would beat the file's.
        for name in (*stack.config.variables, *(n for n in os.environ if n.startswith("COMPOSE_"))):
            patch.delenv(name, raising=False)
        patch.setenv("RQMON_STATE_DIR", str(stack.state_dir))
        try:
            said = stack.start()
            yield Containers(stack, compose, said)
        finally:
            try:
                stack.rqmon("stop")
            finally:
                compose.stop(down=True)  # including the volumes
                docker("image", "rm", "--force", f"{stack.config.variables['COMPOSE_PROJECT_NAME']}:local")


@pytest.fixture(scope="session")
def containers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("containers")) as containers:
        yield containers


@pytest.fixture
def json_containers(tmp_path):
    with started(tmp_path, "RQ_SERIALIZER=json") as containers:
        yield containers
