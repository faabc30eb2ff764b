"""Reads the preview's pages for tests."""

from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

CHART = "panel => getElement(Number(panel.querySelector('.nicegui-echart').id.slice(1))).chart"

CHART_START = f"({CHART})(panel).getOption().xAxis[0].min"

CHART_DATA = (
    f"panel => ({CHART})(panel).getOption().series.map(s => s.data.filter(d => d[1] !== null).length)"
)


def open_dashboard(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator(".panel").first).to_be_visible()
    expect(page.locator(".panel.loading:visible")).to_have_count(0)


def panel(page: Page, title: str) -> Locator:
    return page.locator(".panel", has=page.get_by_role("heading", level=3, name=title))


def query_in(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


def query_of(page: Page) -> dict[str, list[str]]:
    return query_in(page.url)
