"""Inspects and controls the containers of a stack."""

import json
import subprocess
from dataclasses import dataclass

import httpx
from testcontainers.compose import DockerCompose

from tests.servers import wait_for
from tests.stack import Stack


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"docker {' '.join(map(str, arguments))}: {done.stderr[-2000:]}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Containers:
    stack: Stack
    compose: DockerCompose
    said: str

    def ids(self, *services: str) -> list[str]:
        """Return the ids of these services' containers, or of all running ones."""
        return docker(*self._compose_command("ps", "--quiet", *services)).split()

    def id(self, service: str) -> str:
        """Return the id of a service's only container, running or not."""
        [container] = self.ids("--all", service)
        return container

    def up(self, *arguments: str) -> None:
        docker(*self._compose_command("up", "--detach", *arguments))

    def inspect(self, service: str) -> dict:
        return json.loads(docker("inspect", self.id(service)))[0]

    def logs(self) -> str:
        return "".join(self.compose.get_logs())

    def healthy(self) -> bool:
        """Whether every container is healthy by its own check, and every target up in Prometheus."""
        states = docker(
            "ps",
            "--all",
            "--format",
            "{{.Status}}",
            "--filter",
            f"label=com.docker.compose.project={self.project}",
        ).splitlines()
        if not all(state.startswith("Up") and "(healthy)" in state for state in states):
            return False
        try:
            up = [sample["value"][1] for sample in self.stack.query("up")]
        except (httpx.HTTPError, ValueError):
            return False
        return up == ["1", "1", "1"]

    def crash(self, service: str) -> None:
        """Send SIGKILL from inside the container; after `docker kill` the engine restarts nothing."""
        before = self.inspect(service)["State"]
        docker("exec", self.id(service), "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)")
        wait_for(
            lambda: self.inspect(service)["State"]["StartedAt"] > before["StartedAt"],
            what=f"{service} starts again",
        )

    @property
    def project(self) -> str:
        return self.stack.config.variables["COMPOSE_PROJECT_NAME"]

    def _compose_command(self, *arguments: str) -> list[str]:
        return [
            "compose",
            *("--project-name", self.project),
            *("--project-directory", self.compose.context),
            *("--env-file", str(self.stack.env_file)),
            *(
                word
                for file in self.compose.compose_file_name
                for word in ("--file", f"{self.compose.context}/{file}")
            ),
            *("--profile", "preview", "--profile", "demo"),
            *arguments,
        ]
