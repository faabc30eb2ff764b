"""Whom the preview answers, and what it shows when Prometheus does not answer."""

import socket
import urllib.request
from urllib.error import HTTPError
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import (
    PrometheusServer,
    running_preview,
)
from tests.browser.preview_pages import open_dashboard, panel

pytestmark = pytest.mark.browser


def test_nothing_comes_from_another_machine(page: Page, preview: str) -> None:
    hosts: set[str | None] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).hostname))
    open_dashboard(page, f"{preview}/d/every-panel")
    assert hosts - {None} == {"127.0.0.1"}  # None: data: URLs


@pytest.mark.parametrize("path", ["/d/no-such", "/d/..%2F..%2Fpyproject", "/assets/..%2Fserver.py"])
def test_only_known_dashboards_and_assets_are_served(preview: str, path: str) -> None:
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(preview + path, timeout=20)
    assert caught.value.code == 404
    caught.value.close()


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
    # A WebSocket opens from any origin, unless the server checks.
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


def test_prometheus_going_and_coming_back(page: Page, preview: str, prometheus: PrometheusServer) -> None:
    open_dashboard(page, f"{preview}/d/every-panel?refresh=5s")
    prometheus.stop()
    try:
        page.get_by_role("button", name="Refresh now").click()
        expect(page.get_by_role("alert")).to_contain_text(f"Prometheus at {prometheus.url} does not answer")
        # A tile's value is no longer known; a graph's past still is.
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


def urlopen(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as response:
        return bytes(response.read())


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
