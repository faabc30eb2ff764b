"""`.env`: the ports and passwords of one copy of the stack. Created if missing, then the user's to edit."""

import functools
import io
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from rqmon.env_file import line_of, read_env_file
from rqmon.guarded_rq_dashboard.settings import DEFAULT_HOST, DashboardSettings
from rqmon.ports import DEFAULT_PORTS
from rqmon.resources import command_line, is_checkout, project
from rqmon.stack import receivers
from rqmon.stack.addresses import check_url
from scheduler.config import Settings
from scheduler.errors import ConfigError


def _password() -> str:
    return secrets.token_urlsafe(24)


# title of a group -> variable -> (how its first value is made, what it is)
_VARIABLES: dict[str, dict[str, tuple[Callable[[], str], str]]] = {
    "Passwords. Change one, then stop and start the stack.": {
        "REDIS_PASSWORD": (_password, "letters, digits and . _ ~ - only: it is part of a URL"),
        "RQ_DASHBOARD_USERNAME": (lambda: "rq", "rq-dashboard's login"),
        "RQ_DASHBOARD_PASSWORD": (_password, ""),
        "GRAFANA_ADMIN_PASSWORD": (_password, "of the user admin; read when Grafana first starts"),
    },
    "Ports, on 127.0.0.1.": {
        variable: (functools.partial(str, port), "") for variable, port in DEFAULT_PORTS.items()
    },
    "Where workers, commands and the exporter find Redis.": {
        "RQ_REDIS_URL": (lambda: "redis://:${REDIS_PASSWORD}@127.0.0.1:${REDIS_PORT}/0", ""),
    },
}
# Only in a checkout: an installed copy starts no containers, and its folder may have its own compose file.
_COMPOSE: dict[str, dict[str, tuple[Callable[[], str], str]]] = {
    "What plain `docker compose` commands in this folder act on.": {
        "COMPOSE_PROJECT_NAME": (lambda: f"rqmon-{secrets.token_hex(3)}", "another one for every copy"),
        "COMPOSE_FILE": (lambda: "docker-compose.yml:docker-compose-rq-monitor.yml", ""),
    },
}
VARIABLES = tuple(name for group in (_VARIABLES | _COMPOSE).values() for name in group)
# Variables that a first start takes from its environment. Not the project's name: a shell that has read
# another copy's `.env` would give this copy the other's containers.
_GIVEN = tuple(name for group in _VARIABLES.values() for name in group)
# Where people read docs/runbooks.md; a link in an alert adds #name.
RUNBOOK_URL = "RQMON_RUNBOOK_URL"
# These have no first value in `.env`, but are taken from the environment all the same.
_OPTIONAL = ("RQ_SERIALIZER", "RQ_LOG_LEVEL", "RQ_JOB_BUCKETS", RUNBOOK_URL, *receivers.VARIABLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """The paths and variables of one copy of the stack.

    Attributes:
        state_dir: `RQMON_STATE_DIR`, by default `.rqmon` in the project: data, logs, running state.
        env_file: `RQMON_ENV_FILE`, by default `.env` in the project.
        variables: The file's variables. They beat the environment's, so that every command means the same
            stack whatever the shell has set.
    """

    state_dir: Path
    env_file: Path
    variables: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "StackConfig":
        """Read the environment and the file; without a file, `variables` is empty.

        Raises:
            ConfigError: The file can't be read.
        """
        env_file = Path(environ.get("RQMON_ENV_FILE") or project() / ".env").absolute()
        values = dotenv_values(stream=io.StringIO(read_env_file(env_file)))
        return cls(
            state_dir=Path(environ.get("RQMON_STATE_DIR") or project() / ".rqmon").absolute(),
            env_file=env_file,
            variables={name: value for name, value in values.items() if value is not None},
        )

    def check(self) -> None:
        """Refuse variables that the stack can't start with.

        Raises:
            ConfigError: A variable is invalid; the message names it and says what to do.
        """
        written = dotenv_values(stream=io.StringIO(read_env_file(self.env_file)), interpolate=False)
        for name in (name for group in _groups().values() for name in group):
            if name.endswith("_PASSWORD") and "${" in (written.get(name) or ""):
                raise ConfigError(
                    f"{name} in {self.env_file} has ${{, which would insert another variable's value: "
                    "use a password without it"
                )
            if not self.variables.get(name):
                what = f"{name} in {self.env_file} is empty"
                if name not in self.variables:
                    what = f"{self.env_file} has no {name}"
                raise ConfigError(
                    f"{what}: give it a value; "
                    f"{command_line('start')} writes one where there is no line for it"
                )
        if not re.fullmatch(r"[A-Za-z0-9._~-]+", self.variables["REDIS_PASSWORD"]):
            raise ConfigError(
                f"REDIS_PASSWORD in {self.env_file} has a character that is invalid there in a URL: "
                "use letters, digits and . _ ~ - only"
            )
        seen: dict[int, str] = {}
        for name in DEFAULT_PORTS:
            port = self.variables[name]
            if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
                raise ConfigError(f"{name} in {self.env_file} is {port!r}: give it a number from 1 to 65535")
            if int(port) in seen:
                raise ConfigError(
                    f"{seen[int(port)]} and {name} in {self.env_file} are both {port}: choose another for one"
                )
            seen[int(port)] = name
        Settings.from_env(self.variables)
        if url := self.variables.get(RUNBOOK_URL):
            check_url(RUNBOOK_URL, url)
        receivers.alertmanager_config(self.variables, log_url="")
        # The stack decides where it listens.
        DashboardSettings.from_env({**self.variables, "RQ_DASHBOARD_HOST": DEFAULT_HOST})


def overruled(config: StackConfig, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that differ between the environment and the file; the file's values count."""
    return tuple(name for name, value in config.variables.items() if environ.get(name, value) != value)


def complete_env_file(path: Path, given: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Append the variables that the file lacks, and change no others; create the file if necessary.

    Args:
        path: The file.
        given: Values for a new file, where present: a first start's environment.

    Returns:
        The names of the added variables.

    Raises:
        ConfigError: A line of the file can't be read.
    """
    is_new = not path.exists()
    given = {name: value for name, value in (given or {}).items() if is_new and value}
    there = read_env_file(path)
    known = set()
    for binding in parse_stream(io.StringIO(there)):
        if binding.error:
            raise ConfigError(
                f"Line {line_of(binding)} of {path} can't be read: "
                "write NAME=value, and end the quotes where the value ends"
            )
        known.add(binding.key)
    added: list[str] = []
    text = "# Settings of the stack. Not for git: it has passwords.\n" if is_new else ""
    for title, group in _groups().items():
        missing = [name for name in group if name not in known]
        if not missing:
            continue
        text += f"\n# {title}\n" if text or there.strip() else f"# {title}\n"
        for name in missing:
            make, remark = group[name]
            text += f"# {name}: {remark}\n" if remark else ""
            value = _quoted(given[name]) if name in _GIVEN and name in given else make()
            text += f"{name}={value}\n"
        added += missing
    if chosen := [name for name in _OPTIONAL if name in given]:
        text += "\n# Given to the first start.\n"
        text += "".join(f"{name}={_quoted(given[name])}\n" for name in chosen)
        added += chosen
    if added:
        text = text if there.endswith("\n") or not there else f"\n{text}"
        # Never readable by others, even for a moment: it is created with mode 600. Lines are only appended,
        # so that the old ones stay even on a full disk.
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as file:
                path.chmod(0o600)  # an existing file may have another mode
                file.write(text.encode())
        except OSError as error:
            raise ConfigError(f"{path} can't be written ({error.strerror}): make it yours") from None
    return tuple(added)


def _groups() -> dict[str, dict[str, tuple[Callable[[], str], str]]]:
    return _VARIABLES | _COMPOSE if is_checkout() else _VARIABLES


def _quoted(value: str) -> str:
    if re.fullmatch(r"[\w.,:/@~-]+", value, re.ASCII):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
