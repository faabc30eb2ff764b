"""Writes the files of the native stack's programs below the state directory, from the variables in `.env`."""

import json
import re
from pathlib import Path

from rqmon.alerting.app import PATH as LOG_PATH
from rqmon.resources import data
from rqmon.stack.door_login import write_login
from rqmon.stack.environment import StackConfig
from rqmon.stack.native.supervisord_conf import configuration
from rqmon.stack.receivers import alertmanager_config, write_config
from rqmon.stack.services import ALERT_LOG, EVERY

# Characters that make a path a pattern for Redis and Prometheus.
PATTERN = frozenset("*?[\\")

_TARGETS = {
    "rq-exporter": "RQ_EXPORTER_PORT",
    "prometheus": "PROMETHEUS_PORT",
    "alertmanager": "ALERTMANAGER_PORT",
}


def write_files(config: StackConfig) -> None:
    """Write the programs' files; existing data and logs stay."""
    for folder in ("logs", "redis", "prometheus/targets", "alertmanager", "grafana"):
        (config.state_dir / folder).mkdir(parents=True, exist_ok=True)
    _write_redis_conf(config)
    write_login(config, mode=0o600)
    told = alertmanager_config(config.variables, log_url=f"{ALERT_LOG.address(config)}{LOG_PATH}")
    write_config(config.state_dir / "alertmanager.yml", told, mode=0o600)
    (config.state_dir / "supervisord.conf").write_text(configuration(EVERY))
    prometheus = config.state_dir / "prometheus"
    for name in ("prometheus.yml", "alerts", "rules"):
        link = prometheus / name
        link.unlink(missing_ok=True)
        link.symlink_to(data(f"monitoring/prometheus/{name}"))
    for name, variable in _TARGETS.items():
        target = {"targets": [f"127.0.0.1:{config.variables[variable]}"], "labels": {"instance": name}}
        (prometheus / f"targets/{name}.yml").write_text(json.dumps([target]) + "\n")  # JSON is YAML too


def for_redis(path: Path) -> str:
    """Escape a path for Redis, which takes it as a pattern and, without a match, starts without password."""
    text = str(path)
    return re.sub(r"[*?\[\\]", r"\\\g<0>", text) if PATTERN & set(text) - {"\\"} else text


def _write_redis_conf(config: StackConfig) -> None:
    settings = {
        "include": for_redis(data("monitoring/redis/redis.conf")),
        "dir": config.state_dir / "redis",
        "bind": "127.0.0.1",
        "port": config.variables["REDIS_PORT"],
        "requirepass": config.variables["REDIS_PASSWORD"],
        # A title would overwrite the process's environment, by which its stack is recognised.
        "set-proc-title": "no",
    }
    path: Path = config.state_dir / "redis.conf"
    path.touch(mode=0o600)
    # JSON's quoting works for Redis too, except for non-ASCII letters, which stay as they are.
    lines = (f"{name} {json.dumps(str(value), ensure_ascii=False)}\n" for name, value in settings.items())
    path.write_text("".join(lines))
