"""Commands that start, stop and show the stack, however it runs."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rqmon.stack import runs
from rqmon.stack.compose import ComposeStack, engine_answers
from rqmon.stack.environment import StackConfig, complete_env_file, overruled
from rqmon.stack.native.backend import NativeStack
from rqmon.stack.services import Backend, ServiceError, ServiceState, StackError, check_ports_are_free
from rqmon.terminal import printable, printable_lines, say
from scheduler.errors import ConfigError

_BACKENDS: dict[str, Callable[[StackConfig], Backend]] = {"docker": ComposeStack, "native": NativeStack}
_HEALTHY_WITHIN_SECONDS = 120.0  # containers on a busy machine need more than one minute
_LOG_LINES = 15


@click.command()
@click.option("--mode", envvar="MODE", help="native or docker; by default docker when an engine answers.")
@click.pass_obj
def start(environ: Mapping[str, str] | None, *, mode: str | None) -> None:
    """Start what does not run yet, and wait until everything answers."""
    if mode and mode not in _BACKENDS:
        raise StackError(f"Unknown mode {mode!r}: use {' or '.join(_BACKENDS)}")
    config = StackConfig.from_env()
    with runs.exclusive(config):
        config = _with_env_file(config, environ or {})
        started = time.monotonic()
        backend = _running(config, mode)
        if backend is None:
            backend = _new(config, mode or ("docker" if engine_answers() else "native"))
        elif not backend.upgrades:
            states = backend.states()
            if all(state.is_healthy for state in states):
                click.echo("Everything is running already.")
                _print_places(states, config)
                return
        try:
            backend.launch()
            states = _wait_until_healthy(backend)
        except ServiceError as error:
            say(f"{error}. The last lines of its log:", err=True)
            click.echo(printable_lines(backend.log(error.service, lines=_LOG_LINES)), err=True)
            raise SystemExit(1) from None
        _print_places(states, config)
        click.echo(f"Healthy after {time.monotonic() - started:.1f} s.")


@click.command()
def stop() -> None:
    """End whatever runs, workers once their jobs are done; the data stays."""
    config = StackConfig.from_env()
    with runs.exclusive(config):
        backend = _recorded(config) or NativeStack(config)
        with Console().status("Stopping; workers finish their jobs first, for up to 30 s"):
            was_running = backend.stop()
        runs.forget(config)
    click.echo("Stopped. The data is kept for the next start." if was_running else "Nothing was running.")


@click.command()
def status() -> None:
    """Show how each service is doing; exit with 1 unless all are healthy."""
    config = StackConfig.from_env()
    backend = _recorded(config)
    if backend is None:
        click.echo("Nothing is running: start it with make start-rq-mon")
        raise SystemExit(1)
    config.check()
    states = backend.states()
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("service", "state", "pid", "running for", "restarts", "where"):
        table.add_column(column, overflow="fold")
    for state in states:
        uptime = timedelta(seconds=int(state.uptime_seconds)) if state.uptime_seconds is not None else ""
        table.add_row(
            state.service.name,
            _colored(state),
            str(state.pid or ""),
            str(uptime),
            str(state.restarts or ""),
            state.service.address(config),
        )
    Console().print(table)
    if not backend.is_running():
        click.echo("It was started, and what watches over it is gone: make start-rq-mon brings it back.")
        raise SystemExit(1)
    if unhealthy := [state.service.name for state in states if not state.is_healthy]:
        click.echo(f"Not healthy: {', '.join(unhealthy)}. See: rqmon logs {unhealthy[0]}")
        raise SystemExit(1)


@click.command()
@click.argument("service", required=False)
@click.option("--follow", is_flag=True, help="Go on with what is logged from now on.")
def logs(*, service: str | None, follow: bool) -> None:
    """Show the last lines of every service's log, or of SERVICE's."""
    config = StackConfig.from_env()
    backend = _recorded(config) or NativeStack(config)
    names = [known.name for known in backend.services]
    if service and service not in names:
        raise StackError(f"There is no service {service!r}: use one of {', '.join(names)}")
    chosen = [service] if service else names
    if follow:
        backend.follow(chosen)
        return
    for name in chosen:
        click.secho(f"==> {name}", bold=True)
        click.echo(printable_lines(backend.log(name, lines=_LOG_LINES)))


def _with_env_file(config: StackConfig, environ: Mapping[str, str]) -> StackConfig:
    """The configuration once its file has every variable; what came of them is said."""
    is_new = not config.env_file.exists()
    if added := complete_env_file(config.env_file, environ):
        as_given = [name for name in added if is_new and environ.get(name)]
        what = "the ports and random passwords" if is_new else ", ".join(added)
        what += f", with {', '.join(as_given)} from the environment," if as_given else ""
        click.echo(f"Wrote {what} to {config.env_file}")
    config = StackConfig.from_env()
    try:
        config.check()
    except ConfigError:
        if is_new:  # what was given can't be: the next start is a first one again
            config.env_file.unlink()
        raise
    if names := overruled(config, environ):
        click.echo(
            f"The environment has another {', '.join(names)} than {config.env_file}: the file's counts."
        )
    return config


def _recorded(config: StackConfig) -> Backend | None:
    if run := runs.recall(config):
        return _BACKENDS[run.mode](config)
    native = NativeStack(config)
    if native.is_running():  # the record can't be read
        return native
    # A person may have started the containers with plain docker compose.
    containers = ComposeStack(config) if config.variables and engine_answers() else None
    return containers if containers and containers.is_running() else None


def _running(config: StackConfig, mode: str | None) -> Backend | None:
    run, backend = runs.recall(config), _recorded(config)
    if run is None or backend is None or not backend.is_running():
        return None
    if mode and mode != run.mode:
        raise StackError(f"The stack runs in {run.mode} mode: stop it first, with make stop-rq-mon")
    if not backend.upgrades and run != runs.Run.of(config, run.mode):
        raise StackError(
            f"{config.env_file} has changed since the stack was started: "
            "run make stop-rq-mon, then make start-rq-mon"
        )
    return backend


def _new(config: StackConfig, mode: str) -> Backend:
    backend = _BACKENDS[mode](config)
    backend.prepare()
    check_ports_are_free(config)
    runs.remember(config, runs.Run.of(config, mode))
    return backend


def _wait_until_healthy(backend: Backend) -> list[ServiceState]:
    started = time.monotonic()
    with Console(stderr=True).status("Starting") as line:
        while True:
            states = backend.states()
            waiting = [state for state in states if not state.is_healthy]
            if not waiting:
                return states
            seconds = time.monotonic() - started
            if seconds > _HEALTHY_WITHIN_SECONDS:
                raise ServiceError(waiting[0].service.name, waiting[0].description)
            names = ", ".join(state.service.name for state in waiting)
            line.update(f"{len(states) - len(waiting)} of {len(states)} healthy, waiting for {names}")
            time.sleep(0.1)


def _print_places(states: list[ServiceState], config: StackConfig) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("service", "state", "where", "what for"):
        table.add_column(column, overflow="fold")
    for state in states:
        table.add_row(
            state.service.name, _colored(state), state.service.address(config), state.service.purpose
        )
    Console().print(table)
    click.echo(
        f"Log in to rq_dashboard with RQ_DASHBOARD_USERNAME and RQ_DASHBOARD_PASSWORD of {config.env_file}"
    )


def _colored(state: ServiceState) -> Text:
    return Text(printable(state.description), style="green" if state.is_healthy else "red")
