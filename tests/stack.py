"""A real stack beside any other, driven by the commands that people use."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from redis import Redis

from ops.environment import StackConfig
from ops.stack import WITH_GRAFANA
from tests.servers import free_port

ROOT = Path(__file__).parents[1]
PORTS = {service.name: service.port_variable for service in WITH_GRAFANA if service.port_variable}


@dataclass(frozen=True)
class Stack:
    mode: str
    state_dir: Path
    env_file: Path

    @classmethod
    def new(cls, mode: str, folder: Path) -> "Stack":
        """One on free ports, with everything of its own in a folder."""
        env_file = folder / ".env"
        env_file.write_text("".join(f"{name}={free_port()}\n" for name in PORTS.values()))
        return cls(mode, folder / "state", env_file)

    def rqmon(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # NiceGUI serves nothing when it sees pytest's own variables.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "RQ"))}
        environment |= {
            "RQMON_STATE_DIR": str(self.state_dir),
            "RQMON_ENV_FILE": str(self.env_file),
            "MODE": self.mode,
            "COLUMNS": "120",
        }
        command = [sys.executable, "-c", "from ops.cli import main; main(prog_name='rqmon')", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    def start(self) -> str:
        done = self.rqmon("start")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def config(self) -> StackConfig:
        environ = {"RQMON_ENV_FILE": str(self.env_file), "RQMON_STATE_DIR": str(self.state_dir)}
        return StackConfig.from_env(environ)

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
