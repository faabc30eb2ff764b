"""The commands that each run one program."""

import os
import signal
import subprocess
import sys

import httpx
import pytest

from scheduler.cron.store.registry import CronRegistry
from tests.commands import manage
from tests.crons import declare
from tests.servers import free_port, wait_for

FUNCTIONS = "def add(a, b):\n    return a + b\n"
CRON_FILE = """
from scheduler import job_scheduler
from own_functions import add

def schedule_jobs():
    job_scheduler(add, (1, 1), cron="0 0 1 1 *", cron_id="new-year")
"""


@pytest.fixture
def program(rq_redis_url, tmp_path):
    """Start `rqmon ...` in a folder with its own module; it must end cleanly when told to."""
    (tmp_path / "own_functions.py").write_text(FUNCTIONS)
    started = []

    def start(*args):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        command = [sys.executable, "-P", "-m", "rqmon.cli", *args]
        with (tmp_path / "log").open("wb") as log:
            started.append(subprocess.Popen(command, env=env, cwd=tmp_path, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        # uvicorn closes open connections, then ends by the signal itself.
        assert process.wait(timeout=30) in (0, -signal.SIGTERM), (tmp_path / "log").read_text()


def test_a_worker_runs_functions_of_the_current_folder_from_each_of_its_queues(program, queue):
    jobs = [queue.enqueue(name, "own_functions.add", number, 1) for number, name in enumerate(("one", "two"))]
    program("worker", "one", "two")
    for number, job in enumerate(jobs):
        wait_for(lambda job=job: queue.job(job.id).is_finished, what="the job is finished")
        assert queue.job(job.id).return_value() == number + 1


def test_a_worker_needs_a_queue():
    done = manage("worker")
    assert done.returncode == 2
    assert "QUEUE..." in done.stderr


@pytest.mark.parametrize("named", [True, False])
def test_cron_registers_the_entries_of_a_file_the_named_one_or_cron_scheduler(
    program, redis_connection, tmp_path, named
):
    file = tmp_path / ("other.py" if named else "cron-scheduler.py")
    file.write_text(CRON_FILE)
    program("cron", "run", *(["other.py"] if named else []))
    registry = CronRegistry(redis_connection)
    wait_for(lambda: [entry.id for entry in registry.entries()] == ["new-year"], what="it is registered")


def test_cron_without_a_file_runs_the_entries_of_others_and_keeps_them(program, redis_connection, queue):
    registry = CronRegistry(redis_connection)
    declare(registry, (None, {"interval_seconds": 1, "cron_id": "theirs", "queue_name": "theirs"}))
    process = program("cron", "run")
    wait_for(lambda: redis_connection.llen("rq:queue:theirs") >= 2, what="its slots get their jobs")
    assert [entry.id for entry in registry.entries()] == ["theirs"]
    redis_connection.flushdb()
    wait_for(lambda: manage("cron", "health").returncode == 0, what="it is live after a flush")
    declare(registry, (None, {"interval_seconds": 1, "cron_id": "again", "queue_name": "again"}))
    wait_for(lambda: redis_connection.llen("rq:queue:again") >= 2, what="new entries get their jobs too")
    assert process.poll() is None


def test_a_cron_file_that_cant_be_run_is_one_line(queue, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("import nosuch\n")
    done = manage("cron", "run", str(file))
    said = f"{file} can't be loaded: ModuleNotFoundError: No module named 'nosuch'\n"
    assert (done.returncode, done.stderr.endswith(said), done.stderr.count("\n")) == (2, True, 1)


def test_a_function_of_the_cron_file_itself_is_refused_as_no_worker_finds_it(queue, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(CRON_FILE.replace("from own_functions import add", FUNCTIONS))
    done = manage("cron", "run", str(file))
    assert done.returncode == 2
    assert "A worker can't import add from <run_path>: move it into a module" in done.stderr


@pytest.mark.parametrize(
    ("name", "path"), [("exporter", "/metrics"), ("preview", "/healthz")], ids=["exporter", "preview"]
)
def test_a_server_takes_its_own_options(program, name, path):
    port = free_port()
    process = program(name, "--host", "127.0.0.1", "--port", str(port))

    def answers():
        assert process.poll() is None
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    wait_for(answers, seconds=60, what=f"{name} answers")


def test_the_exporter_weighs_its_address_as_without_the_command(tmp_path, rq_redis_url):
    # An address in the environment beats one in `.env`, even of another kind.
    (tmp_path / ".env").write_text("RQ_REDIS_URL=redis://nosuch:1/0\n")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("RQ_", "PYTEST_"))}
    host, _, port = rq_redis_url.removeprefix("redis://").partition("/")[0].rpartition(":")
    listen = free_port()
    command = [sys.executable, "-m", "rqmon.cli", "exporter", "--host", "127.0.0.1", "--port", str(listen)]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**env, "RQ_REDIS_HOST": host, "RQ_REDIS_PORT": port},
        stderr=subprocess.DEVNULL,
    )
    try:

        def is_up():
            try:
                return "rq_redis_up 1\n" in httpx.get(f"http://127.0.0.1:{listen}/metrics").text
            except httpx.HTTPError:
                return False

        wait_for(is_up, seconds=60, what="it reaches the Redis of the environment")
    finally:
        process.terminate()
        process.wait(timeout=20)
