"""Each alert has a drill, and each drill mends by the words of its runbook."""

import re

import pytest

from dashboards.alerts.files import ALERTS
from dashboards.drills.__main__ import DRILLS
from tests import ROOT

RUNBOOKS = (ROOT / "docs/runbooks.md").read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOKS, re.MULTILINE | re.DOTALL))


def mitigation(alert: str) -> str:
    """What a section says of it, and the sections that it leads to, without their line breaks."""
    own = re.search(r"\*\*Mitigation\.\*\*(.*?)\*\*It is fixed", SECTIONS[alert], re.DOTALL)[1]
    others = [SECTIONS[name] for name in SECTIONS if f"(#{name.lower()})" in own]
    return " ".join(" ".join([own, *others]).split())


def test_every_alert_has_one_drill():
    assert sorted(drill.alert for drill in DRILLS) == sorted(alert.name for alert in ALERTS)


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.alert)
def test_a_drill_mends_by_its_runbook(drill):
    assert drill.mend or drill.never_clears
    for words in drill.mend:
        assert words in mitigation(drill.alert), words
