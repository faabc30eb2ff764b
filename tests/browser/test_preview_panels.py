"""The preview in a real browser, drawing a real Prometheus."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    EXACT,
    HOSTILE_QUEUE,
    JOBS,
    RQ_DASHBOARD,
    PrometheusServer,
)
from tests.browser.preview_pages import (
    CHART,
    CHART_DATA,
    open_dashboard,
    panel,
    query_in,
)

pytestmark = pytest.mark.browser


def test_every_panel_type_draws_its_data(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel")
    # The heatmap ends at a round time up to 5 seconds ago: a young Prometheus may have no rates there yet.
    expect(page.locator(".message:visible")).to_have_count(0)
    for title, series in {"Lines of": 3, "Stacked rate": 3, "States": 1, "Run time": 1}.items():
        expect(panel(page, title).locator("canvas")).to_be_visible()
        counts = panel(page, title).evaluate(CHART_DATA)
        assert len(counts) == series
        assert all(counts), f"{title}: {counts}"
    expect(panel(page, "Busy").get_by_role("img")).to_have_attribute("aria-label", re.compile("62%"))
    expect(panel(page, "Share").locator(".bar-value")).to_have_text(["7", "3", "5"])
    rows = panel(page, "Queues").get_by_role("row")
    expect(rows).to_have_count(1 + len(JOBS))
    expect(rows.nth(0).get_by_role("columnheader")).to_have_text(["Queue", "Jobs", "Ended"])
    expect(rows.nth(1).get_by_role("cell").nth(1)).to_have_text("7")
    expect(panel(page, "Notes").get_by_role("link", name="runbook")).to_be_visible()


def test_a_stat_shows_what_prometheus_says(page: Page, preview: str, prometheus: PrometheusServer) -> None:
    open_dashboard(page, f"{preview}/d/every-panel")
    [exact] = prometheus.query("max(demo_exact)")
    [total] = prometheus.query("sum(demo_jobs)")
    assert (exact, total) == (EXACT, sum(JOBS.values()))
    expect(panel(page, "Exact").locator(".tile-value")).to_have_text(f"{exact:.3f}")
    expect(panel(page, "Jobs").locator(".tile-value")).to_have_text(f"{total:.0f}")


def test_markup_in_labels_and_files_never_runs(page: Page, preview: str) -> None:
    # A refresh hides the tooltip until the pointer moves again.
    query = "var-queue=$__all&var-step=%3Cscript%3Ewindow.hacked=1%3C/script%3E&refresh="
    open_dashboard(page, f"{preview}/d/every-panel?{query}")
    expect(panel(page, "Queues").get_by_role("cell", name=HOSTILE_QUEUE)).to_be_visible()
    page.get_by_role("button", name="Description: Jobs in the queues").hover()
    page.get_by_role("combobox", name="Queue").click()
    expect(page.get_by_role("option", name=HOSTILE_QUEUE)).to_be_visible()
    page.keyboard.press("Escape")
    panel(page, "Stacked rate").scroll_into_view_if_needed()
    box = panel(page, "Stacked rate").locator("canvas").bounding_box()
    assert box is not None
    for share in (0.7, 0.9, 0.96, 0.975):  # over the newest points, wherever they are on the axis
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
    expect(panel(page, "Stacked rate").locator(".tip-name", has_text="<script>")).to_be_visible()
    page.goto(f"{preview}/")
    expect(page.get_by_text("One panel of each type. <img")).to_be_visible()
    page.goto(f"{preview}/d/%3Cscript%3Ewindow.hacked=1%3C%2Fscript%3E")
    assert page.evaluate("window.hacked") is None


def test_a_refused_query_shows_in_its_own_panel(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/broken")
    expect(panel(page, "Wrong query").locator(".message")).to_contain_text("parse error")
    expect(panel(page, "Nothing there").locator(".message")).to_have_text("No data")
    expect(panel(page, "Healthy").locator(".tile-value")).to_have_text("41.125")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_refresh_keeps_the_charts(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel")
    page.evaluate("document.querySelectorAll('canvas').forEach(c => c.marked = true)")
    last = f"panel => ({CHART})(panel).getOption().xAxis[0].max"
    before = panel(page, "Stacked rate").evaluate(last)
    page.get_by_role("button", name="Refresh now").click()
    page.wait_for_function(
        f"before => ({last})(document.querySelector('.panel:has(canvas)')) > before", arg=before
    )
    assert page.evaluate("[...document.querySelectorAll('canvas')].every(c => c.marked)")


def test_a_click_in_the_legend_shows_one_series_alone(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?refresh=")
    selected = f"({CHART})(panel).getOption().legend[0].selected"
    shown = f"panel => Object.values({selected}).filter(Boolean).length"
    key = panel(page, "Stacked rate").get_by_role("button", name="Show only beta")
    key.click()
    expect(key).to_have_attribute("aria-pressed", "true")
    assert panel(page, "Stacked rate").evaluate(shown) == 1
    key.click()
    assert panel(page, "Stacked rate").evaluate(shown) == len(JOBS)


def test_a_row_and_a_series_lead_to_their_queue_in_rq_dashboard(page: Page, preview: str) -> None:
    path = "/0/view/jobs/{}/queued"
    open_dashboard(page, f"{preview}/d/every-panel?refresh=")
    rows, series = panel(page, "Queues"), panel(page, "Stacked rate")
    for queue in JOBS:
        # The sanitiser takes a name with a script in it; the link's title is left.
        name = "Queued jobs" if queue == HOSTILE_QUEUE else f"Queued jobs: {queue}"
        of_series = series.get_by_role("link", name=name, exact=True)
        for link in (rows.get_by_role("link", name=queue), of_series):
            expect(link).to_have_attribute("href", RQ_DASHBOARD + path.format(quote(queue, safe="")))
    expect(page.get_by_role("combobox", name="Address of rq-dashboard")).to_have_count(0)
    for link in (
        rows.get_by_role("link", name=HOSTILE_QUEUE),
        series.get_by_role("link", name="Queued jobs", exact=True),
    ):
        with page.context.expect_event("request") as asked, page.expect_popup() as opened:
            link.click()
        assert asked.value.url == RQ_DASHBOARD + path.format(quote(HOSTILE_QUEUE, safe=""))
        assert opened.value.evaluate("window.opener") is None


@pytest.mark.parametrize("address", ["http://evil.example/login?x=", "javascript:window.hacked=1//"])
def test_an_address_does_not_choose_where_links_lead(address: str, page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?var-rq_dashboard={quote(address)}")
    links = page.locator(".panel a[rel=noopener]")
    expect(panel(page, "Queues").get_by_role("cell", name=HOSTILE_QUEUE)).to_be_visible()
    assert links.count() == 2 * len(JOBS)
    for link in links.all():
        assert (link.get_attribute("href") or "").startswith(f"{RQ_DASHBOARD}/0/view/jobs/")
    page.get_by_role("button", name="Refresh every").click()
    page.get_by_text("30s", exact=True).click()
    page.wait_for_url(lambda url: query_in(url).get("refresh") == ["30s"])
    assert "var-rq_dashboard" not in query_in(page.url)


def test_rows_open_and_close(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel")
    row = page.get_by_role("button", name="Closed")
    expect(row).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_role("heading", name="Hidden")).to_be_hidden()
    row.click()
    expect(panel(page, "Hidden").locator(".tile-value")).to_have_text("41.1")


def test_a_phone_gets_one_column(page: Page, preview: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_dashboard(page, f"{preview}/d/every-panel")
    widths = page.eval_on_selector_all(".panel", "panels => panels.map(p => p.offsetWidth).filter(w => w)")
    assert len(set(widths)) == 1
    assert widths[0] > 350
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_buttons_have_names_and_the_menu_leads_on(page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel")
    for button in page.get_by_role("button").all():
        assert button.get_attribute("aria-label") or button.inner_text().strip()
    expect(page.get_by_role("heading", level=1)).to_have_text("Every panel")
    page.get_by_role("button", name="Choose a dashboard").click()
    page.get_by_text("Broken panels").click()
    page.wait_for_url(re.compile("/d/broken"))


def test_annotations_are_lines_with_names(page: Page, preview: str, prometheus: PrometheusServer) -> None:
    open_dashboard(page, f"{preview}/d/linked?from=now-1m&refresh=")
    chart = panel(page, "Marked")
    marked = "s => s.markLine ? s.markLine.data.map(d => d.xAxis / 1000) : []"
    lines = f"panel => ({CHART})(panel).getOption().series.flatMap({marked})"
    page.wait_for_function(f"panel => ({lines})(panel).length", arg=chart.element_handle())
    starts = chart.evaluate(lines)
    begin = chart.evaluate(f"panel => ({CHART})(panel).getOption().xAxis[0].min / 1000")
    for start in starts:  # the state was 1 from then on, and not before
        if start < begin + 2:  # an event that began before the range is marked at the range's start
            continue
        assert prometheus.query(f'demo_state{{worker="worker-2"}} @ {start}') == [1.0]
        assert prometheus.query(f'demo_state{{worker="worker-2"}} @ {start - 1}') in ([0.0], [])
    where = f"([panel, at]) => ({CHART})(panel).convertToPixel({{xAxisIndex: 0}}, at * 1000)"
    box = chart.locator("canvas").bounding_box()
    assert box is not None
    x = page.evaluate(where, [chart.element_handle(), starts[-1]])
    page.mouse.move(box["x"] + x, box["y"] + box["height"] / 2)
    expect(chart.locator(".tip-name").last).to_have_text("Busy <b>again</b>")
    expect(page.get_by_role("alert")).to_be_hidden()
