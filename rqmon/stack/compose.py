"""The stack as containers, by Docker Compose."""

import functools
import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from rqmon.alerting.app import PATH as LOG_PATH
from rqmon.ports import DEFAULT_PORTS
from rqmon.resources import command_line, data, project
from rqmon.stack import health
from rqmon.stack.door_login import write_login
from rqmon.stack.environment import StackConfig
from rqmon.stack.receivers import alertmanager_config, write_config
from rqmon.stack.services import (
    ALERT_LOG,
    PROMETHEUS,
    WITH_GRAFANA,
    WITH_PREVIEW,
    Service,
    ServiceState,
    StackError,
)
from rqmon.terminal import pass_on, say

_ENGINE_TIMEOUT_SECONDS = 5.0
# The folders below monitoring/ whose files are mounted.
_MOUNTED = ("prometheus", "redis", "grafana")
# As Alertmanager reaches it in the containers' network.
_LOG_URL = f"http://{ALERT_LOG.name}:{DEFAULT_PORTS['ALERT_LOG_PORT']}{LOG_PATH}"
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


def engine_answers() -> bool:
    """Whether there is a Docker engine, and a client with Compose."""
    try:
        for command in (
            ["docker", "info", "--format", "{{.ServerVersion}}"],
            ["docker", "compose", "version"],
        ):
            done = subprocess.run(  # noqa: S603 (fixed words)
                command, check=True, capture_output=True, timeout=_ENGINE_TIMEOUT_SECONDS
            )
            if not done.stdout.strip():  # some clients answer this if the engine is stopped
                return False
    except (OSError, subprocess.SubprocessError):
        return False
    return True


class ComposeStack:
    """The stack as containers of the Compose project that `.env` names.

    If Grafana's image can't be pulled, the preview of its dashboards takes its place.
    """

    upgrades = True

    def __init__(self, config: StackConfig) -> None:
        self._config = config

    @functools.cached_property
    def services(self) -> tuple[Service, ...]:
        """Return the services, judging by the existing containers."""
        return WITH_PREVIEW if "preview" in self._by_service() else WITH_GRAFANA

    def is_running(self) -> bool:
        """Whether any container runs."""
        return bool(self._compose("ps", "--quiet").stdout.strip())

    def prepare(self) -> None:
        """Make sure that there is an engine.

        Raises:
            StackError: No engine answers.
        """
        if not engine_answers():
            raise StackError(
                "No Docker engine with Compose answers: start Docker, or use MODE=native, which needs none"
            )

    def launch(self) -> None:
        """Build our image, pull the others, and start the containers, each when those it needs are healthy.

        Running containers stay, unless their image or settings have changed.

        Raises:
            StackError: Compose failed, with its messages on the screen; or containers can't read a file.
        """
        _check_mounted_files()
        write_secrets(self._config)
        pulled = self._compose("pull", "--quiet", "--policy", "missing", "grafana")
        if pulled.returncode == 0:
            self.services, other = WITH_GRAFANA, "preview"
        else:
            say("Grafana's image can't be pulled: the preview of its dashboards starts instead.")
            say(f"  {(pulled.stderr.strip() or 'no reason given').splitlines()[-1]}")
            self.services, other = WITH_PREVIEW, "grafana"
        self._compose("rm", "--stop", "--force", other)  # it would occupy the port
        names = [service.name for service in self.services]
        # Compose does not see that a mounted file has changed.
        digest, made_with = _digest(self._config), self._config.state_dir / "containers"
        if not made_with.exists() or made_with.read_text() != digest:
            names.append("--force-recreate")
        # Built once, for all the services that run it; "up" would build it for each.
        say("Building the image and starting the containers ...")
        for arguments in (
            ["build", "--quiet", "rq_short"],
            ["--progress", "quiet", "up", "--detach", "--remove-orphans", *names],
        ):
            done = self._compose(*arguments, capture=False)
            if done.returncode != 0:
                raise StackError(
                    f"docker compose {' '.join(arguments)} failed, see above: "
                    f"{command_line('logs')} shows what the containers said"
                )
        made_with.write_text(digest)

    def states(self) -> list[ServiceState]:
        """Return the engine's state of each container."""
        containers = self._by_service()
        states = []
        for service in self.services:
            scaled = containers.get(service.name)
            if scaled is None:
                states.append(ServiceState(service=service, is_healthy=False, description="not started"))
                continue
            # The worst of several containers.
            container = min(scaled, key=_is_healthy)
            count = f" ({sum(map(_is_healthy, scaled))} of {len(scaled)})" if len(scaled) > 1 else ""
            run = _inspect(container["ID"])
            uptime = _age_seconds(run) if container["State"] == "running" else None
            problem = None
            if not _is_healthy(container):
                problem = f"{container['State']} {container['Health']}".strip()
            elif run["RestartCount"] >= health.RESTARTS and uptime and uptime < health.STEADY_SECONDS:
                problem = f"restarting, {run['RestartCount']} times since it was created"
            elif service == PROMETHEUS:
                problem = health.storing_problem(self._config)
            states.append(
                ServiceState(
                    service=service,
                    is_healthy=problem is None,
                    description=(problem or "healthy") + count,
                    uptime_seconds=uptime,
                    restarts=run["RestartCount"],
                )
            )
        return states

    def stop(self) -> bool:
        """Remove the containers and the network; the volumes stay.

        Raises:
            StackError: Compose failed; its messages are on the screen.
        """
        was_running = bool(self._containers())
        if self._compose("down", "--remove-orphans", capture=False).returncode != 0:
            raise StackError("docker compose down failed, see above: the containers may still run")
        return was_running

    def log(self, service: str, *, lines: int) -> str:
        """Return the last lines of a container's output."""
        done = self._compose("logs", "--no-color", "--no-log-prefix", "--tail", str(lines), service)
        return done.stdout

    def follow(self, services: Sequence[str]) -> None:
        """Run `docker compose logs --follow`."""
        pass_on(self._command(["logs", "--tail", "5", "--follow", *services]), **self._options)

    def _containers(self) -> list[dict[str, Any]]:
        text = self._compose("ps", "--all", "--format", "json").stdout.strip()
        # One array until Compose 2.20, since then one object per line.
        found: list[dict[str, Any]] = json.loads(text) if text.startswith("[") else []
        return found or [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def _by_service(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for container in self._containers():
            found.setdefault(container["Service"], []).append(container)
        return found

    def _compose(self, *arguments: str, capture: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 (names of services, checked)
            self._command(arguments), **self._options, capture_output=capture, text=True, errors="replace"
        )

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return ["docker", "compose", "--env-file", str(self._config.env_file), *arguments]

    @property
    def _options(self) -> dict[str, Any]:
        environment = {
            **os.environ,
            **self._config.variables,
            "RQMON_STATE_DIR": str(self._config.state_dir),
            # All profiles: "up" names the services that it starts.
            "COMPOSE_PROFILES": "preview,demo",
        }
        return {"cwd": project(), "env": environment}


def _check_mounted_files() -> None:
    """Refuse a file that the containers' users can't read: they are not this user, nor in its group."""
    folders = [data(f"monitoring/{name}") for name in _MOUNTED]
    for path in (path for folder in folders for path in (folder, *folder.rglob("*"))):
        needed = 0o005 if path.is_dir() else 0o004
        if path.stat().st_mode & needed != needed:
            raise StackError(
                f"Containers can't read {path} (a strict umask?): "
                f"run chmod -R a+rX {shlex.join(map(str, folders))}"
            )


def _digest(config: StackConfig) -> str:
    """Return a digest of what containers get from this machine: mounted files and the `.env` file."""
    digest = hashlib.sha256(json.dumps(dict(config.variables), sort_keys=True).encode())
    for name in ("web.yml", "alertmanager.yml"):
        digest.update((config.state_dir / "secrets" / name).read_bytes())
    for folder in _MOUNTED:
        for path in sorted(data(f"monitoring/{folder}").rglob("*")):
            if path.is_file():
                digest.update(f"{path}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _is_healthy(container: dict[str, Any]) -> bool:
    return bool(container["State"] == "running" and container["Health"] == "healthy")


def write_secrets(config: StackConfig) -> None:
    """Write the containers' secrets as files: in their environment `docker inspect` would show them.

    A container's user is not this user, so the files are readable for all, but the folder only for its owner.
    """
    folder = write_login(config, mode=0o644)
    variables = config.variables
    ours = {
        # The RQ settings in .env, except addresses to listen on, which are this machine's.
        **{n: value for n, value in variables.items() if n.startswith("RQ_") and not n.endswith("_PORT")},
        "RQ_REDIS_URL": _url_in_containers(config),
    }
    for name, text in {
        "rq.env": "".join(f"{variable}={_quoted(value)}\n" for variable, value in ours.items()),
        "redis_password": variables["REDIS_PASSWORD"],
        "grafana_password": variables["GRAFANA_ADMIN_PASSWORD"],
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    told = alertmanager_config(variables, log_url=_LOG_URL)
    write_config(folder / "alertmanager.yml", told, mode=0o644)


def _url_in_containers(config: StackConfig) -> str:
    """Return `RQ_REDIS_URL` for containers: this stack's own Redis has another name and port there.

    Raises:
        StackError: It is another Redis on this machine, which containers can't reach by that name.
    """
    variables = config.variables
    given = urlsplit(variables["RQ_REDIS_URL"])
    if given.scheme != "unix" and given.hostname not in _THIS_MACHINE:
        return variables["RQ_REDIS_URL"]
    if given.scheme == "unix" or (given.port or DEFAULT_PORTS["REDIS_PORT"]) != int(variables["REDIS_PORT"]):
        raise StackError(
            f"RQ_REDIS_URL in {config.env_file} is another Redis on this machine, out of containers' reach: "
            "give its address in the network, or use MODE=native"
        )
    login, at, _ = given.netloc.rpartition("@")
    return urlunsplit(given._replace(netloc=f"{login}{at}redis:{DEFAULT_PORTS['REDIS_PORT']}"))


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _inspect(container: str) -> dict[str, Any]:
    command = ["docker", "inspect", container]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 (an id that docker gave)
    [found] = json.loads(done.stdout)
    run: dict[str, Any] = found
    return run


def _age_seconds(run: dict[str, Any]) -> float:
    started = datetime.fromisoformat(run["State"]["StartedAt"][:19]).replace(tzinfo=UTC)
    return (datetime.now(UTC) - started).total_seconds()
