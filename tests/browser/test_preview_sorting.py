"""Tables and legends of the preview, sorted by their headings in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import HOSTILE_QUEUE
from tests.browser.preview_pages import open_dashboard, panel

pytestmark = pytest.mark.browser


def test_a_heading_sorts_the_table_by_mouse_and_keys_and_a_refresh_keeps_it(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?refresh=")
    table = panel(page, "Queues")
    head = table.get_by_role("columnheader", name="Jobs")
    numbers = table.locator("tbody td:nth-child(2)")
    expect(head).to_have_attribute("aria-sort", "descending")  # as the JSON says
    table.get_by_role("button", name="Queue").click()
    expect(table.locator("tbody td:first-child")).to_have_text([HOSTILE_QUEUE, "alpha", "beta"])
    expect(table.locator("th[aria-sort]")).to_have_text(["Queue"])
    table.get_by_role("button", name="Jobs").focus()
    page.keyboard.press("Enter")
    expect(numbers).to_have_text(["7", "5", "3"])
    page.keyboard.press("Space")
    expect(numbers).to_have_text(["3", "5", "7"])
    expect(head).to_have_attribute("aria-sort", "ascending")
    ended = table.locator("tbody td:nth-child(3)").first
    before = ended.inner_text()
    page.get_by_role("button", name="Refresh now").click()
    expect(ended).not_to_have_text(before)
    expect(numbers).to_have_text(["3", "5", "7"])
    table.get_by_role("button", name="Jobs").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(numbers).to_have_text(["7", "5", "3"])


def test_a_heading_sorts_a_legend_and_its_keys_stay_with_their_series(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?refresh=")
    legend = page.locator(".panel", has=page.locator(".legend-table")).first.locator(".legend-table")
    names = legend.locator("tbody .legend-key")
    of_alpha = names.filter(has_text="Alpha").get_attribute("data-series")
    legend.get_by_role("button", name="Last").click()
    expect(names).to_have_text([HOSTILE_QUEUE, "beta", "Alpha"])
    legend.get_by_role("button", name="Last").click()
    expect(names).to_have_text(["Alpha", "beta", HOSTILE_QUEUE])
    assert names.first.get_attribute("data-series") == of_alpha
