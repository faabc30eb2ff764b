"""The command that takes a screenshot of a dashboard."""

from pathlib import Path

import click

from rqmon.ports import DEFAULT_PORTS
from rqmon.preview.shot import take
from rqmon.stack.environment import StackConfig


@click.group()
def dashboards() -> None:
    """Take screenshots of dashboards."""


@dashboards.command()
@click.argument("uid")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--width", type=click.IntRange(320, 7680), default=1280, show_default=True, help="In pixels.")
@click.option("--url", help="The preview's URL.  [default: this stack's]")
def shot(*, uid: str, file: Path, width: int, url: str | None) -> None:
    """Write a screenshot (PNG) of the dashboard UID, as the running preview draws it, to FILE."""
    if url is None:
        port = StackConfig.from_env().variables.get("GRAFANA_PORT", DEFAULT_PORTS["GRAFANA_PORT"])
        url = f"http://127.0.0.1:{port}"
    address = take(uid, file, width=width, url=url)
    click.echo(f"Wrote {file}, from {address}.")
