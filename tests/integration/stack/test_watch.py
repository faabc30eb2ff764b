"""supervisord as in the native stack: programs it gave up are restarted, and ends are counted."""

import json
import os
import shlex
import subprocess
import sys

import psutil
import pytest

from rqmon.stack.environment import StackConfig
from rqmon.stack.native.supervisor import Supervisor
from rqmon.stack.native.supervisord_conf import command_variable, configuration
from rqmon.stack.services import REDIS
from tests.servers import wait_for


@pytest.fixture
def supervisor(tmp_path):
    """A configuration with a program that ends at once until a file exists, and only one try."""
    (tmp_path / "supervisord.conf").write_text(configuration([REDIS], start_retries=0))
    (tmp_path / "logs").mkdir()
    environment = {
        **os.environ,
        command_variable("watch"): shlex.join([sys.executable, "-m", "rqmon.stack.native.watch"]),
        command_variable("redis"): f"sh -c 'test -e {tmp_path}/may && exec sleep 1000'",
    }
    command = ["-m", "supervisor.supervisord", "--nodaemon", "--configuration", tmp_path / "supervisord.conf"]
    process = subprocess.Popen(
        [sys.executable, *command], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        supervisor = Supervisor(StackConfig(state_dir=tmp_path, env_file=tmp_path / ".env", variables={}))
        running = lambda: supervisor.programs().get("watch")  # noqa: E731
        wait_for(lambda: running() is not None and running().state == "RUNNING", what="it watches")
        yield supervisor
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_what_is_given_up_comes_up_by_itself_once_it_can(supervisor, tmp_path):
    supervisor.start("redis")
    log = tmp_path / "logs/supervisord.log"
    gave_up = "gave up: redis entered FATAL state"
    wait_for(lambda: log.read_text().count(gave_up) >= 2, seconds=40, what="it is given up again and again")
    (tmp_path / "may").touch()
    wait_for(lambda: supervisor.programs()["redis"].state == "RUNNING", seconds=40, what="it runs")
    assert len(supervisor.ended_unasked()["redis"]) >= 2


def test_what_ends_unasked_is_counted_and_what_is_stopped_is_not(supervisor, tmp_path):
    (tmp_path / "may").touch()
    supervisor.start("redis")
    redis = lambda: supervisor.programs()["redis"]  # noqa: E731
    for count in (1, 2):
        wait_for(lambda: redis().state == "RUNNING", what="it runs")
        psutil.Process(redis().pid).kill()
        wait_for(
            lambda count=count: len(supervisor.ended_unasked().get("redis", ())) == count,
            what=f"{count} are counted",
        )
    wait_for(lambda: redis().state == "RUNNING", what="it runs")
    supervisor.stop("redis")
    wait_for(lambda: redis().state == "STOPPED", what="it is stopped")
    assert len(supervisor.ended_unasked()["redis"]) == 2


def kill(supervisor, name):
    psutil.Process(supervisor.programs()[name].pid).kill()


def test_a_folder_that_cant_be_written_ends_no_watch_and_costs_no_count(supervisor, tmp_path):
    (tmp_path / "may").touch()
    watch = supervisor.programs()["watch"].pid
    wait_for((tmp_path / "restarts.json").exists, what="it has begun")
    (tmp_path / "restarts.new").mkdir()
    supervisor.start("redis")
    wait_for(lambda: supervisor.programs()["redis"].state == "RUNNING", what="it runs")
    kill(supervisor, "redis")
    log = tmp_path / "logs/watch.log"
    wait_for(lambda: "restarts.json can't be written" in log.read_text(), what="that is said")
    (tmp_path / "restarts.new").rmdir()
    wait_for(lambda: supervisor.programs()["redis"].state == "RUNNING", what="it runs")
    kill(supervisor, "redis")
    wait_for(lambda: len(supervisor.ended_unasked().get("redis", ())) == 2, what="both are counted")
    assert supervisor.programs()["watch"].pid == watch


def test_a_new_watch_goes_on_counting_for_the_same_supervisord(supervisor, tmp_path):
    (tmp_path / "may").touch()
    supervisor.start("redis")
    wait_for(lambda: supervisor.programs()["redis"].state == "RUNNING", what="it runs")
    kill(supervisor, "redis")
    wait_for(lambda: supervisor.ended_unasked().get("redis"), what="it is counted")
    [at] = supervisor.ended_unasked()["redis"]
    of_an_earlier_start = 1e9
    (tmp_path / "restarts.json").write_text(json.dumps({"redis": [of_an_earlier_start, at]}))
    kill(supervisor, "watch")
    wait_for(lambda: at in supervisor.ended_unasked()["redis"][:1], what="the new one has written")
