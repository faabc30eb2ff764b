"""What all tests share: which tests run in parallel, and that under CI a skipped test fails."""

import os
import signal

import pytest
from xdist.scheduler import LoadFileScheduling

from scheduler.queues import FORBIDS_CONFIGURED_REDIS


class _Scheduling(LoadFileScheduling):
    """Run each file's tests in one process, and all container tests in one, since they share a stack."""

    def _split_scope(self, nodeid):
        scope = super()._split_scope(nodeid)
        return "tests/containers" if scope.startswith("tests/containers/") else scope


def pytest_configure() -> None:
    """Restore SIGINT: in a shell's background it is ignored, also by the processes that tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)  # absent with -p no:xdist
def pytest_xdist_make_scheduler(config, log):
    return _Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"{item.nodeid} may not be skipped under CI: {reason}"
    return report


def pytest_terminal_summary(terminalreporter):
    """Print the last "summary" that each file's tests recorded, whichever process ran them."""
    summaries = {
        report.fspath: text
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, text in report.user_properties
        if name == "summary"
    }
    for text in summaries.values():
        terminalreporter.write_line(text)


@pytest.fixture(scope="session", autouse=True)
def _processes_use_their_own_servers():
    """What a test starts finds in RQ_REDIS_URL a server that the test started."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv(FORBIDS_CONFIGURED_REDIS, raising=False)
        yield


@pytest.fixture(params=["pickle", "json"])
def either_serializer(request, monkeypatch):
    """Run a test with each RQ_SERIALIZER; request it by a mark, so that it is set before everything else."""
    monkeypatch.setenv("RQ_SERIALIZER", request.param)
    return request.param
