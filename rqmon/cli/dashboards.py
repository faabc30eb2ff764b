"""Commands for the dashboards: export one as a picture."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click
import httpx

from rqmon.stack.environment import StackConfig
from scheduler.errors import SchedulerError

if TYPE_CHECKING:
    from playwright.sync_api import Page

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_READY_SECONDS = 30
_HEIGHT = 800  # to begin with; the picture has the whole page
# There are panels (a busy preview makes the browser load the page again); each outside closed rows has its
# answer, and every chart its drawing.
_IS_DRAWN = """
() => document.querySelector('.panel')
  && [...document.querySelectorAll('.panel.loading')].every(panel => !panel.offsetParent)
  && [...document.querySelectorAll('.nicegui-echart')].every(chart => chart.querySelector('canvas'))
"""


class PictureError(SchedulerError):
    """No picture can be taken; the message says what is missing."""


@click.group()
def dashboards() -> None:
    """Take screenshots of dashboards."""


@dashboards.command()
@click.argument("uid")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--width", type=click.IntRange(320, 7680), default=1280, show_default=True, help="In pixels.")
@click.option("--url", help="Where the preview is.  [default: this stack's]")
def shot(*, uid: str, file: Path, width: int, url: str | None) -> None:
    """Write a picture (PNG) of the dashboard UID, as the running preview draws it, to FILE."""
    url = url or f"http://127.0.0.1:{StackConfig.from_env().variables.get('GRAFANA_PORT', 4000)}"
    url = url.rstrip("/")
    address = f"{url}/d/{quote(uid, safe='')}"
    _check_preview(url)
    program = next((found for name in _CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        raise PictureError("Chromium is not installed: install the system's package chromium")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise PictureError("playwright is not installed: pip install playwright") from None
    try:
        with (
            sync_playwright() as playwright,
            playwright.chromium.launch(executable_path=program, args=["--no-sandbox"]) as browser,
        ):
            page = browser.new_page(viewport={"width": width, "height": _HEIGHT})
            response = page.goto(address)
            if response and response.status == httpx.codes.NOT_FOUND:
                raise PictureError(f"The preview at {url} has no dashboard {uid!r}: {url}/ lists them")
            _wait_until_drawn(page)
            page.screenshot(path=file, full_page=True, type="png")
    except (Error, OSError) as error:
        raise PictureError(f"No picture of {address}: {str(error).splitlines()[0]}") from None
    click.echo(f"Wrote {file}, from {address}.")


def _check_preview(url: str) -> None:
    try:
        health = httpx.get(f"{url}/healthz", timeout=5, trust_env=False)
        is_preview = set(health.json()) == {"status", "prometheus"}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        is_preview = False
    if not is_preview:
        raise PictureError(f"No preview answers at {url}: run make start-rq-mon, or give its --url")


def _wait_until_drawn(page: "Page") -> None:
    page.locator(".panel").first.wait_for(timeout=_READY_SECONDS * 1000)
    page.wait_for_function(_IS_DRAWN, timeout=_READY_SECONDS * 1000)
    page.evaluate("document.fonts.ready")
