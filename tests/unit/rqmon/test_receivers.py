"""Who is told: from the variables in `.env` to a configuration that Alertmanager takes."""

import json
import shutil
import stat
import subprocess

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
    if shutil.which("amtool") is None:
        pytest.skip("amtool is not on PATH; install the system's prometheus-alertmanager")
    subprocess.run(["amtool", "check-config", path], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"RQMON_ALERT_WEBHOOK_URL": "hooks.example.org"}, "RQMON_ALERT_WEBHOOK_URL"),
        ({"RQMON_ALERT_WATCHDOG_URL": "hooks.example.org"}, "RQMON_ALERT_WATCHDOG_URL"),
        ({"RQMON_ALERT_SLACK_WEBHOOK_URL": "https:///x"}, "RQMON_ALERT_SLACK_WEBHOOK_URL"),
        ({"RQMON_ALERT_EMAIL_TO": "a@example.org"}, "RQMON_ALERT_EMAIL_FROM, RQMON_ALERT_EMAIL_SMARTHOST"),
        ({**MAIL, "RQMON_ALERT_EMAIL_SMARTHOST": "mail.example.org"}, "use host:port"),
    ],
)
def test_what_alertmanager_would_not_take_is_refused_by_name(variables, says):
    with pytest.raises(ConfigError, match=says) as error:
        alertmanager_config(variables, log_url=LOG)
    # An address of a webhook is a secret.
    assert "hooks.example.org" not in str(error.value)
