"""The stack as containers, by Docker Compose."""

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ops.environment import ROOT, StackConfig
from ops.stack import WITH_GRAFANA, ServiceState, StackError

_ENGINE_TIMEOUT_SECONDS = 5.0


def engine_answers() -> bool:
    """Whether there is a Docker engine, and a client with Compose."""
    try:
        for command in (
            ["docker", "info", "--format", "{{.ServerVersion}}"],
            ["docker", "compose", "version"],
        ):
            subprocess.run(  # noqa: S603 (fixed words)
                command, check=True, capture_output=True, timeout=_ENGINE_TIMEOUT_SECONDS
            )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


class ComposeStack:
    """The stack as containers of the project that `.env` names."""

    def __init__(self, config: StackConfig) -> None:
        self._config = config
        self.services = WITH_GRAFANA

    def is_running(self) -> bool:
        """Whether any of its containers runs."""
        return bool(self._compose("ps", "--quiet").stdout.strip())

    def prepare(self) -> None:
        """Make sure that there is an engine.

        Raises:
            StackError: None answers.
        """
        if not engine_answers():
            raise StackError(
                "No Docker engine with Compose answers: start Docker, or use MODE=native, which needs none"
            )

    def launch(self) -> None:
        """Build our image, fetch the others, start the containers in the order of their health.

        Raises:
            StackError: Compose could not; what it said is on the screen.
        """
        # Built once, for all the services that run it; "up" would build it for each.
        for arguments in (["build", "rq_short"], ["up", "--detach", "--remove-orphans"]):
            done = self._compose(*arguments, capture=False)
            if done.returncode != 0:
                raise StackError(
                    f"docker compose {arguments[0]} failed, see above: "
                    "make logs shows what the containers said"
                )

    def states(self) -> list[ServiceState]:
        """What the engine says about each container."""
        containers = {c["Service"]: c for c in self._containers()}
        states = []
        for service in self.services:
            container = containers.get(service.name)
            if container is None:
                states.append(ServiceState(service=service, is_healthy=False, description="not started"))
                continue
            is_healthy = container["State"] == "running" and container["Health"] == "healthy"
            states.append(
                ServiceState(
                    service=service,
                    is_healthy=is_healthy,
                    description="healthy"
                    if is_healthy
                    else f"{container['State']} {container['Health']}".strip(),
                    uptime_seconds=_age_seconds(container["ID"]) if container["State"] == "running" else None,
                )
            )
        return states

    def stop(self) -> bool:
        """Remove the containers and the network; the volumes stay.

        Raises:
            StackError: Compose could not; what it said is on the screen.
        """
        was_running = bool(self._containers())
        if self._compose("down", "--remove-orphans", capture=False).returncode != 0:
            raise StackError("docker compose down failed, see above: the containers may still run")
        return was_running

    def log(self, service: str, *, lines: int) -> str:
        """The last lines a container wrote."""
        done = self._compose("logs", "--no-color", "--no-log-prefix", "--tail", str(lines), service)
        return done.stdout

    def follow(self, services: Sequence[str]) -> None:
        """Run `docker compose logs --follow`."""
        self._compose("logs", "--tail", "5", "--follow", *services, capture=False)

    def _containers(self) -> list[dict[str, Any]]:
        text = self._compose("ps", "--all", "--format", "json").stdout.strip()
        # One array until Compose 2.20, one object a line since.
        found: list[dict[str, Any]] = json.loads(text) if text.startswith("[") else []
        return found or [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def _compose(self, *arguments: str, capture: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "--env-file", str(self._config.env_file), *arguments]
        environment = {**os.environ, **self._config.variables}
        return subprocess.run(  # noqa: S603 (names of services, checked)
            command, cwd=ROOT, env=environment, capture_output=capture, text=True
        )


def _age_seconds(container: str) -> float:
    command = ["docker", "inspect", "--format", "{{.State.StartedAt}}", container]
    started = subprocess.run(  # noqa: S603 (an id that docker gave)
        command, capture_output=True, text=True, check=True
    ).stdout.strip()
    return (datetime.now(UTC) - datetime.fromisoformat(started[:19]).replace(tzinfo=UTC)).total_seconds()
