"""A viewer's choices in the preview, and their copy in the address bar."""

import re
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.preview_pages import (
    CHART,
    CHART_START,
    open_dashboard,
    panel,
    query_of,
)

pytestmark = pytest.mark.browser


def test_a_variable_filters_and_stays_in_the_address(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel")
    page.get_by_role("combobox", name="Queue").click()
    page.get_by_role("option", name="alpha").click()
    expect(panel(page, "Jobs").locator(".tile-value")).to_have_text("3")
    page.get_by_role("option", name="beta").click()
    expect(panel(page, "Jobs").locator(".tile-value")).to_have_text("8")
    assert query_of(page)["var-queue"] == ["alpha", "beta"]
    page.keyboard.press("Escape")
    open_dashboard(page, page.url)
    expect(panel(page, "Jobs").locator(".tile-value")).to_have_text("8")
    expect(page.get_by_role("heading", level=3, name="Lines of alpha + beta")).to_be_visible()


def test_range_and_refresh_stay_in_the_address(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel/any-slug?var-queue=beta&from=now-30m&to=now&refresh=30s")
    expect(panel(page, "Jobs").locator(".tile-value")).to_have_text("5")
    page.get_by_role("button", name="Time range: Last 30 minutes").click()
    page.get_by_text("Last 15 minutes", exact=True).click()
    page.get_by_role("button", name="Refresh every: 30s").click()
    page.get_by_text("Off", exact=True).click()
    expect(page.get_by_role("button", name="Refresh every: off")).to_be_visible()
    expected = {"var-queue": ["beta"], "from": ["now-15m"], "to": ["now"], "refresh": [""]}
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query, keep_blank_values=True) == expected)
    open_dashboard(page, page.url)
    expect(page.get_by_role("button", name="Time range: Last 15 minutes")).to_be_visible()


def test_a_senseless_range_is_refused(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?from=now-99y&to=now")
    expect(page.get_by_role("status")).to_contain_text("not valid")
    expect(page.get_by_role("button", name="Time range: Last 5 minutes")).to_be_visible()


@pytest.mark.parametrize("title", ["Stacked rate", "Run time", "States"])
def test_dragging_over_a_chart_chooses_that_time(title: str, page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?var-queue=beta&from=now-1m&refresh=")
    chart = panel(page, title)
    chart.scroll_into_view_if_needed()
    box = chart.locator("canvas").bounding_box()
    assert box is not None
    left, right = box["width"] * 0.7, box["width"] * 0.9
    moments = f"(panel, xs) => xs.map(x => ({CHART})(panel).convertFromPixel({{xAxisIndex: 0}}, x))"
    expected = chart.evaluate(moments, [left, right])
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + left, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + right, middle, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile(r"from=\d+&to=\d+"))
    chosen = [int(query_of(page)[end][0]) for end in ("from", "to")]
    assert chosen == pytest.approx(expected, abs=1_000)
    assert query_of(page)["var-queue"] == ["beta"]
    page.wait_for_function(
        f"([panel, start]) => ({CHART})(panel).getOption().xAxis[0].min === start",
        arg=[chart.element_handle(), chosen[0]],
    )
    page.get_by_role("button", name="Time range: 20").click()
    page.get_by_text("Last 5 minutes", exact=True).click()
    expect(page.get_by_role("button", name="Time range: Last 5 minutes")).to_be_visible()


CHOSEN = "var-queue=alpha&var-queue=beta&from=now-15m&to=now&refresh=30s"


def expect_chosen(page: Page, uid: str) -> None:
    """Check that the dashboard has taken over the choices in CHOSEN."""
    page.wait_for_url(re.compile(f"/d/{uid}"))
    assert query_of(page) == parse_qs(CHOSEN)
    expect(page.get_by_role("button", name="Time range: Last 15 minutes")).to_be_visible()
    expect(page.get_by_role("button", name="Refresh every: 30s")).to_be_visible()
    expect(panel(page, "Jobs").locator(".tile-value")).to_have_text("8")


def test_the_menu_takes_along_what_is_chosen_to_dashboards_of_the_same_tag(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?var-queue=alpha&from=now-15m&to=now&refresh=10s")
    # Chosen here, not in the address that was opened.
    page.get_by_role("combobox", name="Queue").click()
    page.get_by_role("option", name="beta").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Refresh every: 10s").click()
    page.get_by_text("30s", exact=True).click()
    expect(page.get_by_role("button", name="Refresh every: 30s")).to_be_visible()
    page.get_by_role("button", name="Choose a dashboard").click()
    page.get_by_text("Linked", exact=True).click()
    expect_chosen(page, "linked")

    page.get_by_role("button", name="Choose a dashboard").click()
    page.get_by_text("Broken panels").click()
    page.wait_for_url(re.compile("/d/broken"))
    assert query_of(page) == {}  # no link leads there, so nothing is passed on


@pytest.mark.parametrize("name", ["Dashboards", "All dashboards"])
def test_the_list_keeps_what_is_chosen(name: str, page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?{CHOSEN}")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboards")
    page.get_by_role("link", name="Linked").click()
    expect_chosen(page, "linked")
    page.go_back()
    expect(page.get_by_role("link", name="Broken panels")).to_have_attribute("href", "/d/broken")


@pytest.mark.parametrize("zones", [("Asia/Tokyo", "Asia/Karachi"), ("America/New_York", "America/Anchorage")])
def test_times_are_of_the_browsers_zone(zones: tuple[str, str], browser: Browser, preview: str) -> None:
    # Around midnight the zone's day has no data yet.
    zone = next(zone for zone in zones if 1 <= datetime.now(ZoneInfo(zone)).hour < 23)
    context = browser.new_context(timezone_id=zone)
    page = context.new_page()
    now = datetime.now(ZoneInfo(zone)).replace(microsecond=0)
    start, end = now - timedelta(minutes=10), now
    moments = "&".join(f"{name}={at.timestamp() * 1000:.0f}" for name, at in (("from", start), ("to", end)))
    open_dashboard(page, f"{preview}/d/every-panel?{moments}")
    label = f"{start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S}"
    expect(page.get_by_role("button", name=f"Time range: {label}")).to_be_visible()
    # The axis uses the same zone.
    axis = "panel => rqmon.timeLabel(3600)(" + CHART_START + ")"
    assert panel(page, "Lines of").evaluate(axis) == f"{start:%H:%M}"
    open_dashboard(page, f"{preview}/d/every-panel?from=now/d&to=now/d")
    midnight = now.replace(hour=0, minute=0, second=0)
    label = f"{midnight:%Y-%m-%d} 00:00:00 to {midnight:%Y-%m-%d} 23:59:59"
    expect(page.get_by_role("button", name=f"Time range: {label}")).to_be_visible()
    expect(panel(page, "Lines of").locator("canvas")).to_be_visible()
    assert panel(page, "Lines of").evaluate("panel => " + CHART_START) == midnight.timestamp() * 1000
    context.close()
