"""What the container tests share: an engine, or one line that says they were left out; and one real stack."""

import os

import pytest
from rich.console import Console
from rich.table import Table
from testcontainers.compose import DockerCompose

from ops.compose import engine_answers
from tests.containers.containers import Containers
from tests.containers.load import FAULTS_SEEN
from tests.stack import ROOT, Stack

HAS_ENGINE = engine_answers()
if not HAS_ENGINE:
    if os.environ.get("CI") == "true":
        raise pytest.UsageError("No Docker engine with Compose answers: source .ci/engine first")
    collect_ignore_glob = ["test_*"]


def pytest_terminal_summary(terminalreporter):
    if not HAS_ENGINE:
        terminalreporter.write_line("Left out: tests/containers, as no Docker engine with Compose answers.")
    if not FAULTS_SEEN:
        return
    table = Table("fault", "healthy after", "jobs", "failed with it", "lost", "cron slots", "doubled")
    for fault in FAULTS_SEEN:
        numbers = len(fault.jobs), fault.fates["failed"], fault.fates["lost"], fault.slots, fault.doubled
        table.add_row(fault.name, f"{fault.healthy_after_seconds:.1f} s", *map(str, numbers))
    Console(width=110).print(table)


@pytest.fixture(scope="session")
def containers(tmp_path_factory):
    """The stack of the two compose files, started as people start it."""
    stack = Stack.new("docker", tmp_path_factory.mktemp("containers"))
    before = os.environ.get("RQMON_STATE_DIR")
    os.environ["RQMON_STATE_DIR"] = str(stack.state_dir)
    compose = DockerCompose(
        ROOT,
        ["docker-compose.yml", "docker-compose-rq-monitor.yml"],
        env_file=str(stack.env_file),
        profiles=["preview", "demo"],
    )
    try:
        said = stack.start()
        yield Containers(stack, compose, said)
    finally:
        stack.rqmon("stop")
        compose.stop(down=True)  # with the volumes
        os.environ.pop("RQMON_STATE_DIR")
        if before:
            os.environ["RQMON_STATE_DIR"] = before
