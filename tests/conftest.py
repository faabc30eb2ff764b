"""What every test shares: under CI a skipped test is a failed one."""

import os

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"{item.nodeid} may not be skipped under CI: {reason}"
    return report


@pytest.fixture(params=["pickle", "json"])
def either_serializer(request, monkeypatch):
    """Run a test with each RQ_SERIALIZER; to be asked for by a mark, so that it is set before all else."""
    monkeypatch.setenv("RQ_SERIALIZER", request.param)
    return request.param
