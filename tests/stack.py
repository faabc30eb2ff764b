"""A real stack next to any other, controlled by the commands that people use."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import httpx
import psutil
from redis import Redis

from dashboards.verify.own_stack import COMMAND, OwnStack
from rqmon.stack.services import WITH_GRAFANA
from tests import ROOT

PORTS = {service.name: service.port_variable for service in WITH_GRAFANA if service.port_variable}
_PROGRAMS = {
    "prometheus": ("prometheus",),
    "prometheus-alertmanager": ("prometheus-alertmanager", "alertmanager"),
}
# What a native stack needs and this machine lacks.
MISSING = [package for package, names in _PROGRAMS.items() if not any(map(shutil.which, names))]


def processes_of(*folders):
    """Return the command line of each process that runs in, or was started with, one of these folders."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            command = process.cmdline()
            if any(str(folder) in text for folder in folders for text in (process.cwd(), *command)):
                found[process.pid] = command
    return found


class Stack(OwnStack):
    @classmethod
    def new(cls, mode: str, folder: Path) -> "Stack":
        stack = cls(folder, mode)
        stack.choose_ports()
        return stack

    @property
    def env_file(self) -> Path:
        return self.config.env_file

    @property
    def state_dir(self) -> Path:
        return self.config.state_dir

    def rqmon(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=ROOT,
            env={**self.environment, "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self) -> str:
        done = self.rqmon("start")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.config.variables[PORTS[service]]}"

    def redis(self) -> Redis:
        return Redis.from_url(self.config.variables["RQ_REDIS_URL"], decode_responses=True)

    def query(self, expression: str) -> list[dict]:
        answer = httpx.get(f"{self.url('prometheus')}/api/v1/query", params={"query": expression})
        return answer.json()["data"]["result"]

    def listening(self) -> set[int]:
        ports = {int(self.config.variables[name]) for name in PORTS.values()}
        return ports & {c.laddr.port for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
