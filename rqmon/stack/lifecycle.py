"""Finds the running stack; chooses, prepares and awaits the next one."""

import time
from collections.abc import Callable, Mapping

from rqmon.resources import command_line, is_checkout
from rqmon.stack import runs
from rqmon.stack.compose import ComposeStack, engine_answers
from rqmon.stack.environment import StackConfig, complete_env_file, overruled
from rqmon.stack.native.backend import NativeStack
from rqmon.stack.services import Backend, ServiceError, ServiceState, StackError, check_ports_are_free
from rqmon.terminal import say
from scheduler.errors import ConfigError

BACKENDS: dict[str, Callable[[StackConfig], Backend]] = {"docker": ComposeStack, "native": NativeStack}
_HEALTHY_WITHIN_SECONDS = 120.0  # containers on a busy machine need more than one minute


def check_mode(mode: str | None) -> None:
    """Refuse a mode that is unknown or unavailable here.

    Raises:
        StackError: The mode is refused; the message says which one to use.
    """
    if mode and mode not in BACKENDS:
        raise StackError(f"Unknown mode {mode!r}: use {' or '.join(BACKENDS)}")
    if mode == "docker" and not is_checkout():
        raise StackError("Containers are built from a checkout, and this is an installed copy: use native")


def with_env_file(config: StackConfig, environ: Mapping[str, str]) -> StackConfig:
    """Complete the file of a configuration, say what was added, and return the configuration read anew.

    Raises:
        ConfigError: A variable is invalid.
    """
    is_new = not config.env_file.exists()
    if added := complete_env_file(config.env_file, environ):
        as_given = [name for name in added if is_new and environ.get(name)]
        what = "the ports and random passwords" if is_new else ", ".join(added)
        what += f", with {', '.join(as_given)} from the environment," if as_given else ""
        say(f"Wrote {what} to {config.env_file}")
    config = StackConfig.from_env()
    try:
        config.check()
    except ConfigError:
        if is_new:  # a given value is invalid: the next start is a first one again
            config.env_file.unlink()
        raise
    if names := overruled(config, environ):
        say(f"The environment's {', '.join(names)} differ from {config.env_file}: the file's count.")
    return config


def recorded(config: StackConfig) -> Backend | None:
    """Return the backend of the last start that was not stopped; None if there is none."""
    if run := runs.recall(config):
        return BACKENDS[run.mode](config)
    native = NativeStack(config)
    if native.is_running():  # the record can't be read
        return native
    # Somebody may have started the containers with plain docker compose.
    may_be_containers = is_checkout() and config.variables and engine_answers()
    containers = ComposeStack(config) if may_be_containers else None
    return containers if containers and containers.is_running() else None


def running(config: StackConfig, mode: str | None) -> Backend | None:
    """Return the running backend, with these settings and in this mode; None if none runs.

    Raises:
        StackError: The running stack must be stopped first.
    """
    run, backend = runs.recall(config), recorded(config)
    if run is None or backend is None or not backend.is_running():
        return None
    if mode and mode != run.mode:
        raise StackError(f"The stack runs in {run.mode} mode: stop it first, with {command_line('stop')}")
    if not backend.upgrades and run != runs.Run.of(config, run.mode):
        raise StackError(
            f"{config.env_file} has changed since the stack was started: "
            f"run {command_line('stop')}, then {command_line('start')}"
        )
    return backend


def new(config: StackConfig, mode: str | None) -> Backend:
    """Prepare and record a backend, ready to be launched.

    Raises:
        StackError: Something it needs is missing, or a port is taken.
    """
    if mode is None and engine_answers():
        if is_checkout():
            mode = "docker"
        else:
            say("Containers are built from a checkout: this installed copy runs as plain processes.")
    mode = mode or "native"
    backend = BACKENDS[mode](config)
    backend.prepare()
    check_ports_are_free(config)
    runs.remember(config, runs.Run.of(config, mode))
    return backend


def wait_until_healthy(backend: Backend, *, told: Callable[[str], object]) -> list[ServiceState]:
    """Wait until all services are healthy, and return their states.

    Args:
        backend: The launched backend.
        told: Called repeatedly with a line that says what is awaited.

    Raises:
        ServiceError: A service does not become healthy in time.
    """
    started = time.monotonic()
    while True:
        states = backend.states()
        waiting = [state for state in states if not state.is_healthy]
        if not waiting:
            return states
        seconds = time.monotonic() - started
        if seconds > _HEALTHY_WITHIN_SECONDS:
            raise ServiceError(waiting[0].service.name, waiting[0].description)
        names = ", ".join(state.service.name for state in waiting)
        told(f"{len(states) - len(waiting)} of {len(states)} healthy, waiting for {names}")
        time.sleep(0.1)
