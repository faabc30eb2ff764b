"""Takes a screenshot of a dashboard in the running preview, with Chromium."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from rqmon.resources import command_line
from scheduler.errors import SchedulerError

if TYPE_CHECKING:
    from playwright.sync_api import Page

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_READY_SECONDS = 30
_HEIGHT = 800  # initially; the screenshot has the whole page
# There are panels (a busy preview makes the browser reload the page), each one outside closed rows has its
# answer, and every chart is drawn.
_IS_DRAWN = """
() => document.querySelector('.panel')
  && [...document.querySelectorAll('.panel.loading')].every(panel => !panel.offsetParent)
  && [...document.querySelectorAll('.nicegui-echart')].every(chart => chart.querySelector('canvas'))
"""


class ScreenshotError(SchedulerError):
    """No screenshot can be taken; the message says what is missing."""


def take(uid: str, file: Path, *, width: int, url: str) -> str:
    """Write a screenshot of a dashboard as PNG, and return the address of its page.

    Args:
        uid: The dashboard's uid.
        file: Where to write it.
        width: The width in pixels; the height is the page's.
        url: The preview's URL.

    Raises:
        ScreenshotError: No preview answers there, or there is no browser.
    """
    url = url.rstrip("/")
    address = f"{url}/d/{quote(uid, safe='')}"
    _check_preview(url)
    program = next((found for name in _CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        raise ScreenshotError("Chromium is not installed: install the system's package chromium")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise ScreenshotError("playwright is not installed: pip install playwright") from None
    try:
        with (
            sync_playwright() as playwright,
            playwright.chromium.launch(executable_path=program, args=["--no-sandbox"]) as browser,
        ):
            page = browser.new_page(viewport={"width": width, "height": _HEIGHT})
            response = page.goto(address)
            if response and response.status == httpx.codes.NOT_FOUND:
                raise ScreenshotError(f"The preview at {url} has no dashboard {uid!r}: {url}/ lists them")
            _wait_until_drawn(page)
            page.screenshot(path=file, full_page=True, type="png")
    except (Error, OSError) as error:
        raise ScreenshotError(f"No screenshot of {address}: {str(error).splitlines()[0]}") from None
    return address


def _check_preview(url: str) -> None:
    try:
        health = httpx.get(f"{url}/healthz", timeout=5, trust_env=False)
        is_preview = set(health.json()) == {"status", "prometheus"}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        is_preview = False
    if not is_preview:
        raise ScreenshotError(f"No preview answers at {url}: run {command_line('start')}, or give its --url")


def _wait_until_drawn(page: "Page") -> None:
    page.locator(".panel").first.wait_for(timeout=_READY_SECONDS * 1000)
    page.wait_for_function(_IS_DRAWN, timeout=_READY_SECONDS * 1000)
    page.evaluate("document.fonts.ready")
