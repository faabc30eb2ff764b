"""docs/runbooks.md has a section for each alert, with what somebody needs who is woken at night."""

import re

import click
import pytest

from dashboards.alerts.files import ALERTS
from rqmon.cli.main import rqmon
from tests import ROOT

TEXT = (ROOT / "docs/runbooks.md").read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
PARTS = ("Meaning.", "Impact.", "Diagnosis.", "Mitigation.", "It is fixed when")
# By which the origin's guide tells its users what to look for.
SYMPTOMS = (
    "queued but not started",
    "Jobs are failing",
    "repeated, or run too many times",
    "everything running",
)


def test_every_alert_has_a_section_and_every_section_an_alert_in_the_same_order():
    assert list(SECTIONS) == [alert.name for alert in ALERTS]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_section_has_every_part_in_order_and_names_the_panel(alert):
    section = SECTIONS[alert.name]
    assert tuple(re.findall(r"^\*\*(.+?)\*\*", section, re.MULTILINE)) == PARTS
    words = " ".join(section.split())
    assert f"panel *{alert.panel}*" in words or f"panels *{alert.panel}*" in words


def test_every_link_leads_to_a_section():
    assert set(re.findall(r"\(#(\w+)\)", TEXT)) <= {name.lower() for name in SECTIONS}


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_the_origin_s_troubleshooting_is_there_by_name(symptom):
    assert symptom in TEXT


def test_every_command_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    targets |= set(re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split())
    named = set(re.findall(r"`make ([a-z-]+)", TEXT))
    assert named
    assert named <= targets
    for command, sub in re.findall(r"\.venv/bin/rqmon ([a-z-]+)(?: ([a-z-]+))?", TEXT):
        group = rqmon.get_command(click.Context(rqmon), command)
        assert group is not None
        assert not sub or not isinstance(group, click.Group) or sub in group.commands


def test_no_command_that_is_printed_shows_a_secret_to_others_or_gives_all_to_what_it_starts():
    """What is in an argument, everybody on the machine can list; a shell reads `.env` in its own way."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("rqmon/**/*.py")]
    texts += [*ROOT.glob("dashboards/**/*.py"), *ROOT.glob("monitoring/**/*.yml")]
    wrong = r"--url[ =]\W?\$|redis-cli[\s\S]{0,9} (-u|-a|--pass|--user)\b|\. (\./)?\.env\b|source \S*\.env\b"
    assert [str(path.relative_to(ROOT)) for path in texts if re.search(wrong, path.read_text())] == []
