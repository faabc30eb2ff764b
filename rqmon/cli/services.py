"""Commands that start, stop and show the stack, in either mode."""

import time
from collections.abc import Mapping
from datetime import timedelta

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rqmon.resources import command_line
from rqmon.stack import lifecycle, runs
from rqmon.stack.environment import StackConfig
from rqmon.stack.native.backend import NativeStack
from rqmon.stack.services import ServiceError, ServiceState, StackError
from rqmon.terminal import printable, printable_lines, say

_LOG_LINES = 15


@click.command()
@click.option("--mode", envvar="MODE", help="native or docker; by default docker if an engine answers.")
@click.pass_obj
def start(environ: Mapping[str, str] | None, *, mode: str | None) -> None:
    """Start the services that don't run yet, and wait until all answer."""
    lifecycle.check_mode(mode)
    config = StackConfig.from_env()
    with runs.exclusive(config):
        config = lifecycle.with_env_file(config, environ or {})
        started = time.monotonic()
        backend = lifecycle.running(config, mode)
        if backend is None:
            backend = lifecycle.new(config, mode)
        elif not backend.upgrades:
            states = backend.states()
            if all(state.is_healthy for state in states):
                click.echo("Everything is running already.")
                _print_places(states, config)
                return
        try:
            backend.launch()
            with Console(stderr=True).status("Starting") as line:
                states = lifecycle.wait_until_healthy(backend, told=line.update)
        except ServiceError as error:
            say(f"{error}. The last lines of its log:", err=True)
            click.echo(printable_lines(backend.log(error.service, lines=_LOG_LINES)), err=True)
            raise SystemExit(1) from None
        _print_places(states, config)
        click.echo(f"Healthy after {time.monotonic() - started:.1f} s.")


@click.command()
def stop() -> None:
    """Stop all services, workers once their jobs are done; the data stays."""
    config = StackConfig.from_env()
    with runs.exclusive(config):
        backend = lifecycle.recorded(config) or NativeStack(config)
        with Console().status("Stopping; workers finish their jobs first, for up to 30 s"):
            was_running = backend.stop()
        runs.forget(config)
    click.echo("Stopped. The data is kept for the next start." if was_running else "Nothing was running.")


@click.command()
def status() -> None:
    """Show the state of each service; exit with 1 unless all are healthy."""
    config = StackConfig.from_env()
    backend = lifecycle.recorded(config)
    if backend is None:
        click.echo(f"Nothing is running: start it with {command_line('start')}")
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
        say(f"It was started, but its supervisor is gone: {command_line('start')} brings it back.")
        raise SystemExit(1)
    if unhealthy := [state.service.name for state in states if not state.is_healthy]:
        click.echo(f"Not healthy: {', '.join(unhealthy)}. See: rqmon logs {unhealthy[0]}")
        raise SystemExit(1)


@click.command()
@click.argument("service", required=False)
@click.option("--follow", is_flag=True, help="Keep printing new lines.")
def logs(*, service: str | None, follow: bool) -> None:
    """Show the last lines of every service's log, or of SERVICE's."""
    config = StackConfig.from_env()
    backend = lifecycle.recorded(config) or NativeStack(config)
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
