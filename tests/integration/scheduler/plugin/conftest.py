"""Test sessions of a project that uses the plugin."""

import pytest

CODE = """
from scheduler import SHORT_RUNNING_QUEUE, job_scheduler
from tests.jobs import Recorder, code_under_test, fail, schedule_another
"""


@pytest.fixture
def run_tests(pytester, monkeypatch, pytestconfig):
    """Runs tests as a project of their own would, in a process of its own."""
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))
    monkeypatch.delenv("RQ_TEST_REDIS_URL", raising=False)
    monkeypatch.delenv("RQ_REDIS_URL")
    pytester.makeconftest("")

    def run(body, *options, code=CODE, **variables):
        pytester.makepyfile(code + body)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", *options)

    return run
