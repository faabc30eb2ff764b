"""`make drill ALERT=...`, for real: an alert is told on its fault, and cleared by its runbook's command."""

import json
import subprocess
import sys

import pytest

from tests import ROOT
from tests.stack import MISSING

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


def drill(*alerts: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dashboards.drills", *alerts]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)


def test_jobs_without_a_worker_are_told_of_until_it_is_started_again():
    done = drill("RQQueueNoWorkers")
    assert done.returncode == 0, done.stdout + done.stderr
    [figures] = json.loads(done.stdout.splitlines()[-1])["drills"]
    assert 0 < figures["fired_seconds"] < 90
    assert 0 < figures["cleared_seconds"] < 90
    assert figures["problem"] == ""


def test_an_alert_that_there_is_not_is_refused():
    done = drill("RQNothing")
    assert done.returncode == 2
    assert "RQNothing has no drill: use one of RQWatchdog, " in done.stderr
