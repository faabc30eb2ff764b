"""Alertmanager's configuration: who is told of what, and what is not told beside what."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rqmon.metrics import WATCHDOG
from rqmon.stack import messages
from rqmon.stack.addresses import (
    check_key,
    check_login,
    check_mail,
    check_mail_server,
    check_mails,
    check_url,
)
from scheduler.errors import ConfigError

WEBHOOK, SLACK, PAGERDUTY, WATCHDOG_URL = (
    "RQMON_ALERT_WEBHOOK_URL",
    "RQMON_ALERT_SLACK_WEBHOOK_URL",
    "RQMON_ALERT_PAGERDUTY_KEY",
    "RQMON_ALERT_WATCHDOG_URL",
)
_EMAIL = "RQMON_ALERT_EMAIL_"
EMAIL_TO, EMAIL_FROM, EMAIL_SMARTHOST = f"{_EMAIL}TO", f"{_EMAIL}FROM", f"{_EMAIL}SMARTHOST"
EMAIL_USERNAME, EMAIL_PASSWORD = f"{_EMAIL}USERNAME", f"{_EMAIL}PASSWORD"

# The alert of `rqmon alerts test`.
TEST_ALERT = "RQTest"
_CHECKS: dict[str, Callable[[str, str], None]] = {
    WEBHOOK: check_url,
    SLACK: check_url,
    PAGERDUTY: check_key,
    EMAIL_TO: check_mails,
    EMAIL_FROM: check_mail,
    EMAIL_SMARTHOST: check_mail_server,
    EMAIL_USERNAME: check_login,
    EMAIL_PASSWORD: check_login,
    WATCHDOG_URL: check_url,
}
VARIABLES = tuple(_CHECKS)

_SERVER = ["job", "instance", "redis"]
_QUEUE = [*_SERVER, "queue"]
# A cause, what follows from it, and the labels that say that it does.
_FOLLOWS: tuple[tuple[str, str, list[str]], ...] = (
    ("RQQueueNoWorkers", "RQScheduledOverdue|RQWaitSLOBurnFast", _QUEUE),
    ("RQQueueStalled", "RQWaitSLOBurnFast", _QUEUE),
    ("RQQueueNotDraining", "RQQueueLatencyHigh|RQWaitSLOBurnSlow", _QUEUE),
    ("RQQueueLatencyHigh", "RQWaitSLOBurnSlow", _QUEUE),
    ("RQJobHighFailRate", "RQErrorSLOBurnSlow|RQRetryStorm", _QUEUE),
    ("RQQueueSuspended", "RQQueueLatencyHigh|RQQueueNotDraining|RQFunctionSilent|RQWaitSLOBurn.*", _SERVER),
    ("RQWorkerHeartbeatStale", "RQWorkersGone", _SERVER),
    ("RQWorkersSaturated", "RQQueueLatencyHigh|RQQueueNotDraining|RQWaitSLOBurnSlow", _SERVER),
    ("RQRedisEvicting", "RQRedisMemoryHigh", _SERVER),
    ("RQCronNoProcess", "RQCronStuck|RQCronMissed|RQCronLate", _SERVER),
)
_NEVER = f"RQExporterDown|RQRedisDown|RQRedisRefusing|{WATCHDOG}"


def alertmanager_config(variables: Mapping[str, str], *, log_url: str) -> dict[str, Any]:
    """The configuration for what `.env` says; what is told to nobody goes to `log_url`.

    Args:
        variables: `RQMON_ALERT_WEBHOOK_URL`, `_SLACK_WEBHOOK_URL`, `_PAGERDUTY_KEY` (critical alerts only),
            `_EMAIL_TO`, `_FROM`, `_SMARTHOST`, with `_USERNAME` and `_PASSWORD` where it asks for them,
            and `_WATCHDOG_URL`, which is called while all is well.
        log_url: A webhook on this machine that keeps what it is told.

    Raises:
        ConfigError: A variable has what Alertmanager would not take, or another one is missing.
    """
    tell, page, watchdog = _receivers(variables)
    if not tell:
        tell = {"webhook_configs": [{"url": log_url, "send_resolved": True}]}
    return {
        "route": {
            "receiver": "default",
            # One message a queue, and one for what is about no queue.
            "group_by": ["job", "instance", "redis", "queue"],
            "group_wait": "30s",
            "group_interval": "2m",
            "repeat_interval": "12h",
            "routes": [
                # Of `rqmon alerts test`: each at once and by itself, to everybody there is.
                {
                    "matchers": [f'alertname="{TEST_ALERT}"'],
                    "receiver": "critical",
                    "group_by": ["test"],
                    "group_wait": "0s",
                    "group_interval": "1m",
                },
                # It says that the others would arrive: for a service that is told by its silence. Each 5
                # minutes: at the first multiple of group_interval after repeat_interval.
                {
                    "matchers": [f'alertname="{WATCHDOG}"'],
                    "receiver": "watchdog",
                    "group_wait": "0s",
                    "group_interval": "1m",
                    "repeat_interval": "270s",
                },
                {
                    "matchers": ['severity="critical"'],
                    "receiver": "critical",
                    "group_wait": "10s",
                    "group_interval": "1m",
                    "repeat_interval": "1h",
                },
                {"matchers": ['severity="info"'], "receiver": "info"},
            ],
        },
        "receivers": [
            {"name": "default", **tell},
            {"name": "critical", **tell, **page},
            {"name": "info"},
            {"name": "watchdog", **watchdog},
        ],
        "inhibit_rules": _inhibitions(),
    }


def integrations(variables: Mapping[str, str], *, log: str) -> list[str]:
    """How a critical alert is told, by Alertmanager's words; `log` where the log on this machine is.

    Raises:
        ConfigError: As `alertmanager_config` does.
    """
    tell, page, _ = _receivers(variables)
    return [name.removesuffix("_configs") for name in tell | page] + ([] if tell else [log])


def write_config(path: Path, config: Mapping[str, Any], *, mode: int) -> None:
    """Write it, as JSON, which is YAML too: it has addresses and keys that are secret.

    Args:
        path: The file; whose folder has to keep others out where its mode lets them in.
        config: What `alertmanager_config` made.
        mode: Of the file; a container's user is another than its owner.
    """
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        path.chmod(mode)  # one that was there may have another
        json.dump(config, file, indent=2, ensure_ascii=False)


def _receivers(
    variables: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """How everybody is told, how somebody is woken, and who is called while all is well."""
    given = {name: value.strip() for name, value in variables.items() if value.strip()}
    tell: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        if name in given:
            check(name, given[name])
    if WEBHOOK in given:
        tell["webhook_configs"] = [{"url": given[WEBHOOK], "send_resolved": True}]
    if SLACK in given:
        tell["slack_configs"] = [{"api_url": given[SLACK], "send_resolved": True, **messages.SLACK}]
    if emails := {name for name in given if name.startswith(_EMAIL)}:
        if missing := {EMAIL_TO, EMAIL_FROM, EMAIL_SMARTHOST} - emails:
            raise ConfigError(f"{', '.join(sorted(missing))} is missing: mail needs it beside {min(emails)}")
        mail = {"to": given[EMAIL_TO], "from": given[EMAIL_FROM], "smarthost": given[EMAIL_SMARTHOST]}
        if EMAIL_USERNAME in given:
            mail["auth_username"] = given[EMAIL_USERNAME]
        if EMAIL_PASSWORD in given:
            mail["auth_password"] = given[EMAIL_PASSWORD]
        tell["email_configs"] = [{**mail, "send_resolved": True, **messages.EMAIL}]
    page: dict[str, Any] = {}
    if PAGERDUTY in given:
        page["pagerduty_configs"] = [
            {"routing_key": given[PAGERDUTY], "send_resolved": True, **messages.PAGERDUTY}
        ]
    watchdog: dict[str, Any] = {}
    if WATCHDOG_URL in given:
        watchdog["webhook_configs"] = [{"url": given[WATCHDOG_URL], "send_resolved": False}]
    return tell, page, watchdog


def _inhibitions() -> list[dict[str, Any]]:
    """What is not told while its cause is."""
    # Who lacks a right is told of the rest, and so is who reads a replica: its numbers are those of its
    # primary. An alert that is silenced goes on to keep others silent.
    refusing = 'code!~"|NOPERM|READONLY"'
    of_redis = (['alertname="RQRedisDown"'], ['alertname="RQRedisRefusing"', refusing])
    return [
        _inhibit(['alertname="RQExporterDown"'], [f'alertname!~"{_NEVER}"'], ["job", "instance"]),
        # Of an exporter that is gone from the configuration nothing says which one it was.
        _inhibit(['alertname="RQExporterDown"', 'instance=""'], [f'alertname!~"{_NEVER}"'], ["job"]),
        *(_inhibit(source, [f'alertname!~"{_NEVER}"'], _SERVER) for source in of_redis),
        *(
            _inhibit(source, ['alertname=~"RQScrapeErrors|RQScrapeSlow"'], ["job", "instance"])
            for source in of_redis
        ),
        _inhibit(['severity="critical"', 'queue!=""'], ['severity=~"warning|info"'], _QUEUE),
        *(
            _inhibit([f'alertname=~"{cause}"'], [f'alertname=~"{effect}"'], labels)
            for cause, effect, labels in _FOLLOWS
        ),
    ]


def _inhibit(source: list[str], target: list[str], equal: list[str]) -> dict[str, Any]:
    return {"source_matchers": source, "target_matchers": target, "equal": list(equal)}
