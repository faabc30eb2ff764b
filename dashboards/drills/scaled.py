"""The project's rules with every time divided, so that what takes an hour is seen within a minute.

Signs of life are not: workers give them each half minute, whatever the rules say. Nor is the watchdog's wait
until Prometheus has found Alertmanager.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rqmon.metrics import WATCHDOG
from rqmon.objectives import Objective, Objectives

# Waits of the objectives, 30 and 300 s, become 0.5 and 5 s, which are bounds of the histograms too.
FACTOR = 60
SCRAPES = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
# Prometheus gives a scrape up after 1 s, not after 4, and each second one is answered from the one before.
_SCRAPE_FACTOR = 8
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WINDOW = re.compile(r"(?<=\[|:)\d+[smhd]|(?<=offset )\d+[smhd]")
# What is compared with a number of seconds; and executions in a window, of a rate.
_SECONDS = re.compile(r"(?<=_seconds > )\d+|(?<=\]\)\) \* )\d+")
_SCRAPE = re.compile(r"(scrape_duration_seconds\{[^}]*\}\[\w+\]\) > )(\d+)")
_NOT_SCALED = "rq_workers_stale"


def scaled_objectives(objectives: Objectives) -> Objectives:
    """The same shares of shorter waits."""

    def shorter(objective: Objective) -> Objective:
        return replace(objective, wait_seconds=objective.wait_seconds / FACTOR)

    return Objectives(
        shorter(objectives.default), {name: shorter(own) for name, own in objectives.queues.items()}
    )


def scaled_rules(document: Mapping[str, Any]) -> dict[str, Any]:
    """A rule file's content with its times divided; its objectives are scaled already."""
    groups = []
    for group in document["groups"]:
        rules = [_scaled_rule(rule) for rule in group["rules"]]
        # Each second: a group of its own interval is one that looks at hours.
        groups.append({"name": group["name"], "rules": rules})
    return {"groups": groups}


def _scaled_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    scaled = dict(rule)
    if rule.get("alert") == WATCHDOG:
        return scaled
    if _NOT_SCALED not in rule["expr"]:
        scaled["expr"] = scaled_expr(rule["expr"])
    for name in ("for", "keep_firing_for"):
        if name in rule:
            scaled[name] = _shorter(rule[name])
    return scaled


def scaled_expr(expr: str) -> str:
    """PromQL with windows, offsets and what is compared with seconds divided."""
    expr = _SCRAPE.sub(lambda found: f"{found[1]}{int(found[2]) / _SCRAPE_FACTOR:g}", expr)
    expr = _SECONDS.sub(lambda found: f"{int(found[0]) / FACTOR:g}", expr)
    return _WINDOW.sub(lambda found: _shorter(found[0]), expr)


def scaled_alertmanager(config: Mapping[str, Any], *, watchdog_url: str) -> dict[str, Any]:
    """Alertmanager's configuration that tells within seconds, and tells the watchdog and what is info too."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: _whole_seconds(inner) if name.startswith(("group_", "repeat_")) else walk(inner)
                for name, inner in value.items()
            }
        return [walk(inner) for inner in value] if isinstance(value, list) else value

    scaled: dict[str, Any] = walk(config)
    for receiver in scaled["receivers"]:
        if receiver["name"] in ("info", "watchdog"):
            receiver["webhook_configs"] = [{"url": watchdog_url, "send_resolved": True}]
    return scaled


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * _UNITS[duration[-1]]


def _shorter(duration: str) -> str:
    return f"{_seconds(duration) * 1000 // FACTOR}ms"


def _whole_seconds(value: Any) -> Any:
    return f"{max(1, _seconds(value) // FACTOR)}s" if isinstance(value, str) else value
