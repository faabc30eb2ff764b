"""The app `scheduler.django` in a real Django, in separate processes."""

import os
import subprocess
import sys

import pytest

from scheduler import RecordingWorker, job_scheduler
from tests.jobs import fail, pid

pytest_plugins = ["pytester"]

SETTINGS = """
SECRET_KEY = "tests"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.contenttypes", "scheduler.django"]
DATABASES = {{
    "default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{database}", "CONN_MAX_AGE": {age}}}
}}
ROOT_URLCONF = "django_urls"
STATIC_URL = "/static/"
"""

# "Open" means that the job found a connection that it had not opened.
JOBS = """
from django.db import connection

def found_open():
    found = connection.connection is not None
    connection.ensure_connection()
    return found

def rows():
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM django_content_type")
        return cursor.fetchone()[0]
"""

URLS = """
from django.http import HttpResponse
from django.urls import path

from scheduler import job_scheduler
from tests.jobs import echo_later

def view(request):
    return HttpResponse(job_scheduler("tests.jobs.echo", ("sync",)).get_status())

async def async_view(request):
    return HttpResponse(job_scheduler(echo_later, ("async",)).get_status())

urlpatterns = [path("sync", view), path("async", async_view)]
"""


@pytest.fixture
def project(pytester, pytestconfig, monkeypatch):
    """A Django project; `make(age=..., database=...)` rewrites its settings."""

    def make(*, age=0, database=str(pytester.path / "db.sqlite3")):
        pytester.makepyfile(
            django_settings=SETTINGS.format(age=age, database=database), django_jobs=JOBS, django_urls=URLS
        )

    monkeypatch.setenv("PYTHONPATH", f"{pytestconfig.rootpath}{os.pathsep}{pytester.path}")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "django_settings")
    make()
    return make


def django(*args, **env):
    return subprocess.run(
        [sys.executable, "-m", "django", *args],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def python(code):
    done = subprocess.run(
        [sys.executable, "-c", f"import django\ndjango.setup()\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.usefixtures("project", "either_serializer")
def test_purge_queue(queue):
    for _ in range(2):
        queue.enqueue("mine", fail)
    queue.work("mine")
    for _ in range(101):  # it does not ask for confirmation
        job_scheduler(pid, queue_name="mine")
    done = django("purge_queue", "mine", "--queue_state", "failed")
    assert (done.returncode, done.stdout) == (0, "Deleted 2 failed jobs of mine.\n")
    assert (queue.queued_count("mine"), queue.failed_count("mine")) == (101, 0)
    assert django("purge_queue", "mine").stdout == "Deleted 101 queued jobs of mine.\n"
    assert django("purge_queue", "new").stdout == "Deleted 0 queued jobs of new.\n"


@pytest.mark.usefixtures("project")
def test_test_rq(queue):
    done = django("test_rq", "--generated_jobs", "20")
    assert "Queued 23 jobs" in done.stdout
    assert (queue.queued_count("short-running"), queue.queued_count("long-running")) == (22, 1)
    assert "Queued 1003 jobs" in django("test_rq").stdout


@pytest.mark.usefixtures("project")
def test_rq_health_check(redis_connection):
    done = django("rq_health_check", "--queue", "mine")
    assert (done.returncode, done.stdout) == (1, "0 live workers listen to mine.\n")
    RecordingWorker(["mine"], connection=redis_connection).register_birth()
    done = django("rq_health_check", "--queue=mine")
    assert (done.returncode, done.stdout) == (0, "1 live worker listens to mine.\n")
    assert django("rq_health_check", "--queue=mine", "--this-host").returncode == 0


@pytest.mark.usefixtures("project")
def test_bad_options_and_a_redis_that_is_away_are_one_line():
    for args, word in (
        (["purge_queue", "mine", "--queue_state=odd"], "invalid choice: 'odd'"),
        (["purge_queue"], "the following arguments are required: queue_name"),
        (["rq_health_check"], "the following arguments are required: --queue"),
        (["test_rq", "--generated_jobs=0"], "generated_jobs is 0: use 1 or more"),
    ):
        done = django(*args)
        assert done.returncode == 2
        assert word in done.stderr.splitlines()[-1]
    for args in (["purge_queue", "mine"], ["rq_health_check", "--queue=mine"], ["test_rq"]):
        done = django(*args, RQ_REDIS_URL="redis://127.0.0.1:1/0")
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert line.startswith("CommandError: Redis does not answer")
    done = django("purge_queue", "mine", RQ_REDIS_URL="http://x")
    assert done.stderr.startswith("CommandError: RQ_REDIS_URL is not a Redis URL")


@pytest.mark.usefixtures("project")
def test_the_commands_answer_call_command(queue):
    job_scheduler(pid, queue_name="mine")
    lines = python(
        """
from io import StringIO
from django.core.management import call_command
out = StringIO()
said = call_command("purge_queue", "mine", "--queue_state=queued", stdout=out)
assert (said, out.getvalue()) == ("Deleted 1 queued job of mine.", "Deleted 1 queued job of mine.\\n")
call_command("test_rq", generated_jobs=1, stdout=StringIO())
try:
    call_command("rq_health_check", queue="mine", stdout=out)
except SystemExit as error:
    print("code", error.code)
"""
    )
    assert lines == ["code 1"]


WORK = """
from django.db import connection
from scheduler import RecordingWorker
from scheduler.workers.strategies import InProcessWorker
from scheduler.connections.failover import worker_connection
from scheduler.queues import shared_connection

connection.ensure_connection()  # as a callback of a job that was abandoned leaves it
{worker}(["q"], connection=worker_connection(shared_connection())).work(burst=True)
print("left", connection.connection is not None)
"""


@pytest.mark.parametrize(
    ("worker", "age", "found", "left"),
    [
        ("RecordingWorker", "None", [False, False], False),  # none is shared with the parent
        ("InProcessWorker", "0", [False, False], False),  # Django keeps none longer than a request
        ("InProcessWorker", "None", [True, True], True),  # Django is told to keep them
    ],
)
def test_database_connections_are_closed_around_jobs(queue, project, worker, age, found, left):
    project(age=age)
    jobs = [queue.enqueue("q", "django_jobs.found_open") for _ in range(2)]
    assert python(WORK.format(worker=worker))[-1] == f"left {left}"
    assert [queue.job(job.id).return_value() for job in jobs] == found


def test_jobs_of_tests_run_wherever_django_runs_the_code(pytester, project, monkeypatch):
    project(database=":memory:")
    monkeypatch.delenv("RQ_REDIS_URL")
    pytester.makeconftest("import django\ndjango.setup()")
    pytester.makepyfile(
        test_app="""
import asyncio
import urllib.request

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, transaction
from django.test import AsyncClient, Client, LiveServerTestCase
from django.test.utils import setup_test_environment

from scheduler import job_scheduler

setup_test_environment()
FINISHED = b"finished"

@pytest.fixture(autouse=True)
def _database():
    call_command("migrate", verbosity=0)

def test_in_a_transaction(async_queue):
    with transaction.atomic():
        before = ContentType.objects.count()
        ContentType.objects.create(app_label="a", model="b")
        assert job_scheduler("django_jobs.rows").return_value() == before + 1
        transaction.set_rollback(True)
    assert ContentType.objects.count() == before

@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_client(async_queue, path):
    assert Client().get(path).content == FINISHED

@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_async_client(async_queue, path):
    async def main():
        return (await AsyncClient().get(path)).content
    assert asyncio.run(main()) == FINISHED

@pytest.mark.usefixtures("async_queue")
class TestLiveServer(LiveServerTestCase):
    serialized_rollback = False

    def test_it(self):
        assert urllib.request.urlopen(f"{self.live_server_url}/sync").read() == FINISHED
""",
    )
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-W", "ignore")
    result.assert_outcomes(passed=6)
