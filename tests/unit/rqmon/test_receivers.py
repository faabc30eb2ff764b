"""Who is told: from the variables in `.env` to a configuration that Alertmanager takes."""

import json
import re
import shutil
import stat
import subprocess
from itertools import zip_longest

import pytest

from rqmon.stack.receivers import alertmanager_config, write_config
from scheduler.errors import ConfigError

LOG = "http://127.0.0.1:9099/"
MAIL = {
    "RQMON_ALERT_EMAIL_TO": "team@example.org",
    "RQMON_ALERT_EMAIL_FROM": "rqmon@example.org",
    "RQMON_ALERT_EMAIL_SMARTHOST": "mail.example.org:587",
}
ALL = {
    **MAIL,
    "RQMON_ALERT_EMAIL_USERNAME": "rqmon",
    "RQMON_ALERT_EMAIL_PASSWORD": "se'c\"ret",
    "RQMON_ALERT_WEBHOOK_URL": "https://hooks.example.org/a?b=c#d",
    "RQMON_ALERT_SLACK_WEBHOOK_URL": "https://hooks.slack.example.org/services/T/B/X",
    "RQMON_ALERT_PAGERDUTY_KEY": "0123456789abcdef",
    "RQMON_ALERT_WATCHDOG_URL": "https://switch.example.org/0123",
}


# What is put into each good value below, at each place.
ODD = [chr(code) for code in range(128) if not chr(code).isalnum()]
ODD += ["\x85", "\xa0", "\xe9", "\u2028", "\ufeff", "\U0001f600", "\ud800"]
ODD += ["%zz", "%2", "%20", "{{", "a", "\\u0000"]
URLS = (
    ["https://p4ss:p4ss@hooks.example.org:8443/p4ss/b?c=p4ss&e[]=f#g", "http://[2001:db8::1]:80/p4ss"],
    [
        "HTTPS://hooks.example.org",
        "http://127.0.0.1:9",
        "https://hooks.example.org/" + "p4ss" * 1000,
        "http://[::1/p4ss",
        "http://::1/p4ss",
        "http://[::1%25eth0]/p4ss",
        "http://[::p4ss]/",
        "http://p4ss:x/",
        "http://p4ss:/",
        "http://p4ss:65536",
        "http://:9/p4ss",
        "http://?p4ss",
        "http://#p4ss",
        "http://p4ss@/",
        "http:///p4ss",
        "http:p4ss",
        "//p4ss/a",
    ],
)
# For each setting good values, and others.
VALUES = {
    "RQMON_ALERT_WEBHOOK_URL": URLS,
    "RQMON_ALERT_SLACK_WEBHOOK_URL": URLS,
    "RQMON_ALERT_WATCHDOG_URL": URLS,
    "RQMON_ALERT_PAGERDUTY_KEY": (["0123p4ss"], ["p4ss " * 9]),
    "RQMON_ALERT_EMAIL_TO": (
        ["p4ss@example.org", 'Team A <a@p4ss.org>, "B, C" <p4ss@example.org>'],
        ["p4ss", "p4ss@", "@p4ss", "<p4ss>", "p4ss@example.org,", "p4ss..a@example.org", "p4ss@[127.0.0.1]"],
    ),
    "RQMON_ALERT_EMAIL_FROM": (["Team <p4ss@example.org>"], ["p4ss@example.org,b@example.org"]),
    "RQMON_ALERT_EMAIL_SMARTHOST": (
        ["p4ss.example.org:587", "[::1]:25"],
        ["p4ss", "::1:25", "[::1:25", "a:p4ss:25", "p4ss:", ":25", "p4ss:smtp", "p4ss:99999", "p4ss]b:25"],
    ),
    "RQMON_ALERT_EMAIL_USERNAME": (["p4ss"], []),
    "RQMON_ALERT_EMAIL_PASSWORD": (["p4ss: 'a' \"b\" \\ #c"], []),
}


def refused_by_alertmanager(paths):
    """The files that Alertmanager would not start with, and why."""
    if shutil.which("amtool") is None:
        pytest.skip("amtool is not on PATH; install the system's prometheus-alertmanager")
    done = subprocess.run(
        ["amtool", "check-config", *paths], check=False, capture_output=True, text=True, timeout=60
    )
    said = done.stdout + done.stderr
    assert said.count("Checking '") == len(paths)
    return [line for line in said.splitlines() if "FAILED" in line]


def told(config, receiver):
    return {
        name: options
        for each in config["receivers"]
        if each["name"] == receiver
        for name, options in each.items()
        if name != "name"
    }


def test_with_nothing_set_the_log_is_told():
    config = alertmanager_config({"RQMON_ALERT_WEBHOOK_URL": " "}, log_url=LOG)
    assert told(config, "default") == {"webhook_configs": [{"url": LOG, "send_resolved": True}]}
    assert told(config, "critical") == told(config, "default")


def test_with_something_set_the_log_is_not():
    config = alertmanager_config(MAIL, log_url=LOG)
    assert told(config, "default").keys() == {"email_configs"}


def test_everybody_is_told_of_warnings_and_somebody_is_woken_by_what_is_critical_alone():
    config = alertmanager_config(ALL, log_url=LOG)
    assert told(config, "default").keys() == {"webhook_configs", "slack_configs", "email_configs"}
    assert told(config, "critical").keys() - told(config, "default").keys() == {"pagerduty_configs"}
    assert told(config, "info") == {}


def test_a_dead_man_s_switch_alone_is_told_of_the_watchdog_and_of_nothing_else():
    config = alertmanager_config({"RQMON_ALERT_WATCHDOG_URL": ALL["RQMON_ALERT_WATCHDOG_URL"]}, log_url=LOG)
    assert told(config, "watchdog") == {
        "webhook_configs": [{"url": ALL["RQMON_ALERT_WATCHDOG_URL"], "send_resolved": False}]
    }
    assert told(config, "default") == {"webhook_configs": [{"url": LOG, "send_resolved": True}]}
    assert told(alertmanager_config({}, log_url=LOG), "watchdog") == {}


def test_a_pager_alone_leaves_warnings_to_the_log():
    config = alertmanager_config({"RQMON_ALERT_PAGERDUTY_KEY": "0123"}, log_url=LOG)
    assert told(config, "critical").keys() == {"webhook_configs", "pagerduty_configs"}
    assert told(config, "default").keys() == {"webhook_configs"}


@pytest.mark.parametrize("variables", [{}, MAIL, ALL], ids=["none", "mail", "all"])
def test_alertmanager_takes_it_from_a_file_that_others_can_t_read(variables, tmp_path):
    path = tmp_path / "alertmanager.yml"
    path.touch(mode=0o644)
    write_config(path, alertmanager_config(variables, log_url=LOG), mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == alertmanager_config(variables, log_url=LOG)
    assert refused_by_alertmanager([path]) == []


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"RQMON_ALERT_WEBHOOK_URL": "hooks.example.org"}, "RQMON_ALERT_WEBHOOK_URL"),
        ({"RQMON_ALERT_WATCHDOG_URL": "hooks.example.org"}, "RQMON_ALERT_WATCHDOG_URL"),
        ({"RQMON_ALERT_SLACK_WEBHOOK_URL": "https:///x"}, "RQMON_ALERT_SLACK_WEBHOOK_URL"),
        ({"RQMON_ALERT_EMAIL_TO": "a@example.org"}, "RQMON_ALERT_EMAIL_FROM, RQMON_ALERT_EMAIL_SMARTHOST"),
        ({**MAIL, "RQMON_ALERT_EMAIL_SMARTHOST": "mail.hooks.example.org"}, "use host:port"),
    ],
)
def test_what_alertmanager_would_not_take_is_refused_by_name(variables, says):
    with pytest.raises(ConfigError, match=says) as error:
        alertmanager_config(variables, log_url=LOG)
    # An address of a webhook is a secret.
    assert "hooks.example.org" not in str(error.value)


def accepted(name):
    """The values that are taken, of good ones, others, and good ones with something odd in them."""
    good, others = VALUES[name]
    broken = {
        value[:place] + odd + value[place:]
        for value in good
        for place in [0, *(found.end() for found in re.finditer(r"\w+|\W", value))]
        for odd in ODD
    }
    taken, said = [], set()
    for value in [*good, *others, *sorted(broken)]:
        try:
            alertmanager_config({**ALL, name: value}, log_url=LOG)
            taken.append(value)
        except ConfigError as error:
            said.add(str(error))
    assert set(good) <= set(taken)
    assert all(name in it and "p4ss" not in it for it in said)
    assert len(good) < len(taken) < len(broken)
    return taken


def test_whatever_is_taken_alertmanager_takes_too_and_what_is_not_is_in_no_message(tmp_path):
    paths = []
    for values in zip_longest(*map(accepted, VALUES)):
        given = {name: value for name, value in zip(VALUES, values, strict=True) if value is not None}
        paths.append(tmp_path / f"{len(paths)}.yml")
        write_config(paths[-1], alertmanager_config({**ALL, **given}, log_url=LOG), mode=0o600)
    assert refused_by_alertmanager(paths) == []
