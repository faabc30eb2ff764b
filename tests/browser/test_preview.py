"""The preview in a real browser, drawing a real Prometheus."""

import re
import socket
import urllib.request
from datetime import datetime, timedelta
from urllib.error import HTTPError
from urllib.parse import parse_qs, quote, urlsplit
from zoneinfo import ZoneInfo

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import (
    EXACT,
    HOSTILE_QUEUE,
    JOBS,
    RQ_DASHBOARD,
    PrometheusServer,
    running_preview,
)

pytestmark = pytest.mark.browser

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


def test_markup_in_labels_and_files_never_runs(page: Page, preview: str) -> None:
    # A refresh hides what the pointer shows until it moves again.
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
    for share in (0.7, 0.9, 0.96, 0.975):  # over the newest points, wherever the axis puts them
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
    expect(panel(page, "Stacked rate").locator(".tip-name", has_text="<script>")).to_be_visible()
    page.goto(f"{preview}/")
    expect(page.get_by_text("One panel of each type. <img")).to_be_visible()
    page.goto(f"{preview}/d/%3Cscript%3Ewindow.hacked=1%3C%2Fscript%3E")
    assert page.evaluate("window.hacked") is None


def test_nothing_comes_from_another_machine(page: Page, preview: str) -> None:
    hosts: set[str | None] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).hostname))
    open_dashboard(page, f"{preview}/d/every-panel")
    assert hosts - {None} == {"127.0.0.1"}  # None: data: URLs


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


CHOSEN = "var-queue=alpha&var-queue=beta&from=now-15m&to=now&refresh=30s"


def expect_chosen(page: Page, uid: str) -> None:
    """The dashboard has taken over what CHOSEN says."""
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
    assert query_of(page) == {}  # no link leads there, so nothing goes along


@pytest.mark.parametrize("name", ["Dashboards", "All dashboards"])
def test_the_list_keeps_what_is_chosen(name: str, page: Page, preview: str) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?{CHOSEN}")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboards")
    page.get_by_role("link", name="Linked").click()
    expect_chosen(page, "linked")
    page.go_back()
    expect(page.get_by_role("link", name="Broken panels")).to_have_attribute("href", "/d/broken")


def test_annotations_are_lines_with_names(page: Page, preview: str, prometheus: PrometheusServer) -> None:
    open_dashboard(page, f"{preview}/d/linked?from=now-1m&refresh=")
    chart = panel(page, "Marked")
    marked = "s => s.markLine ? s.markLine.data.map(d => d.xAxis / 1000) : []"
    lines = f"panel => ({CHART})(panel).getOption().series.flatMap({marked})"
    page.wait_for_function(f"panel => ({lines})(panel).length", arg=chart.element_handle())
    starts = chart.evaluate(lines)
    begin = chart.evaluate(f"panel => ({CHART})(panel).getOption().xAxis[0].min / 1000")
    for start in starts:  # the state was 1 from then on, and not before
        if start < begin + 2:  # what had begun before the range is marked where that begins
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


@pytest.mark.parametrize("path", ["/d/no-such", "/d/..%2F..%2Fpyproject", "/assets/..%2Fserver.py"])
def test_only_known_dashboards_and_assets_are_served(preview: str, path: str) -> None:
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(preview + path, timeout=20)
    assert caught.value.code == 404
    caught.value.close()


def test_prometheus_going_and_coming_back(page: Page, preview: str, prometheus: PrometheusServer) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?refresh=5s")
    prometheus.stop()
    try:
        page.get_by_role("button", name="Refresh now").click()
        expect(page.get_by_role("alert")).to_contain_text(f"Prometheus at {prometheus.url} does not answer")
        # What a tile said is no longer known; a graph's past is.
        expect(panel(page, "Exact").locator(".message")).to_have_text("Unknown")
        expect(panel(page, "Exact").locator(".tile-value")).to_be_hidden()
        expect(panel(page, "Queues").locator(".message")).to_have_text("Unknown")
        expect(panel(page, "Lines of").locator("canvas")).to_be_visible()
        with urllib.request.urlopen(f"{preview}/healthz", timeout=20) as response:
            assert response.read() == b'{"status":"ok","prometheus":"down"}'
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("does not answer. The preview tries again")
        expect(panel(page, "Exact").locator(".message")).to_have_text("Waiting for Prometheus")
    finally:
        prometheus.start()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(panel(page, "Exact").locator(".tile-value")).to_have_text("41.125")


def test_what_a_prometheus_that_hangs_said_is_soon_unknown(
    page: Page, preview: str, prometheus: PrometheusServer
) -> None:
    open_dashboard(page, f"{preview}/d/every-panel")
    prometheus.suspend()
    try:
        page.get_by_role("button", name="Refresh now").click()
        # Its queries take 15 s each until they are given up, eight at a time.
        expect(panel(page, "Exact").locator(".message")).to_have_text("Unknown", timeout=30_000)
    finally:
        prometheus.resume()
    page.get_by_role("button", name="Refresh now").click()
    expect(panel(page, "Exact").locator(".tile-value")).to_have_text("41.125")


def test_a_request_without_a_browser_asks_nothing_and_leaves_next_to_nothing(page: Page) -> None:
    with socket.socket() as prometheus:
        prometheus.bind(("127.0.0.1", 0))
        prometheus.listen(100)
        with running_preview(f"http://127.0.0.1:{prometheus.getsockname()[1]}") as url:
            port = str(urlsplit(url).port)
            [process] = [child for child in psutil.Process().children() if port in child.cmdline()]
            urlopen(f"{url}/d/every-panel")
            before = process.memory_info().rss
            for _ in range(100):
                assert b"Every panel" in urlopen(f"{url}/d/every-panel")
            assert process.memory_info().rss - before < 30 * 2**20  # 160 MiB when each page was laid out
            prometheus.settimeout(1)
            with pytest.raises(TimeoutError):
                prometheus.accept()
            prometheus.settimeout(20)
            page.goto(f"{url}/d/every-panel")
            connection, _ = prometheus.accept()
            with connection:
                assert connection.recv(1000).startswith(b"GET /api/v1/status/config ")


def urlopen(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as response:
        return bytes(response.read())


def test_only_pages_of_its_own_are_answered(browser: Browser, preview: str) -> None:
    port = urlsplit(preview).port
    for host, origin, status in (
        (f"127.0.0.1:{port}", None, 200),
        (f"localhost:{port}", f"http://localhost:{port}", 200),
        ("[::1]", None, 200),
        (f"evil.example:{port}", None, 403),
        (f"127.0.0.1.evil.example:{port}", None, 403),
        (f"evil.example:{port}", f"http://evil.example:{port}", 403),
        (f"127.0.0.1:{port}", "http://evil.example", 403),
        (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}@evil.example", 403),
        (f"127.0.0.1:{port}", "null", 403),
    ):
        for path in ("/", "/d/every-panel", "/healthz", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
            headers = {"Host": host} | ({"Origin": origin} if origin else {})
            answer = httpx.get(preview + path, headers=headers, trust_env=False)
            assert answer.status_code == status, (host, origin, path)
    # A WebSocket opens whatever its origin, unless the server looks.
    page = browser.new_page()
    page.goto("about:blank")
    address = f"ws://127.0.0.1:{port}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    opened = """address => new Promise(done => {
        const socket = new WebSocket(address);
        socket.onopen = () => done(true);
        socket.onerror = () => done(false);
    })"""
    assert page.evaluate(opened, address) is False
    page.goto(preview)
    assert page.evaluate(opened, address) is True
    page.close()


@pytest.mark.parametrize("zones", [("Asia/Tokyo", "Asia/Karachi"), ("America/New_York", "America/Anchorage")])
def test_times_are_of_the_browsers_zone(zones: tuple[str, str], browser: Browser, preview: str) -> None:
    # Around its midnight a zone's day holds no data yet.
    zone = next(zone for zone in zones if 1 <= datetime.now(ZoneInfo(zone)).hour < 23)
    context = browser.new_context(timezone_id=zone)
    page = context.new_page()
    now = datetime.now(ZoneInfo(zone)).replace(microsecond=0)
    start, end = now - timedelta(minutes=10), now
    moments = "&".join(f"{name}={at.timestamp() * 1000:.0f}" for name, at in (("from", start), ("to", end)))
    open_dashboard(page, f"{preview}/d/every-panel?{moments}")
    label = f"{start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S}"
    expect(page.get_by_role("button", name=f"Time range: {label}")).to_be_visible()
    # What the axis writes is of the same zone.
    axis = "panel => rqmon.timeLabel(3600)(" + CHART_START + ")"
    assert panel(page, "Lines of").evaluate(axis) == f"{start:%H:%M}"
    open_dashboard(page, f"{preview}/d/every-panel?from=now/d&to=now/d")
    midnight = now.replace(hour=0, minute=0, second=0)
    label = f"{midnight:%Y-%m-%d} 00:00:00 to {midnight:%Y-%m-%d} 23:59:59"
    expect(page.get_by_role("button", name=f"Time range: {label}")).to_be_visible()
    expect(panel(page, "Lines of").locator("canvas")).to_be_visible()
    assert panel(page, "Lines of").evaluate("panel => " + CHART_START) == midnight.timestamp() * 1000
    context.close()


def test_a_prometheus_that_never_answers_keeps_no_page_waiting(page: Page) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        prometheus_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with running_preview(prometheus_url) as url:
            response = page.goto(f"{url}/d/every-panel")
            assert response is not None
            assert response.status == 200
            expect(page.get_by_role("heading", level=1)).to_have_text("Every panel")
            expect(page.get_by_role("alert")).to_contain_text(
                f"Prometheus at {prometheus_url} does not answer. The preview tries again"
            )
            expect(panel(page, "Exact").locator(".message")).to_have_text("Waiting for Prometheus")
