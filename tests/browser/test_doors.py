"""A page of another site in a real Chromium, and Alertmanager behind its door."""

import http.server
import threading

import pytest

from tests.browser.conftest import FOREIGN_NAME
from tests.processes.doors_process import ALERTMANAGER, SILENCE, doors

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(ALERTMANAGER is None, reason="not installed: prometheus-alertmanager"),
]
ATTACK = """async ([door, silence]) => {
  const tried = [];
  for (const [path, mode, type] of [
    ['/api/v2/silences', 'cors', 'application/json'],
    ['/api/v2/silences', 'no-cors', 'text/plain'],
    ['/api/v1/silences', 'no-cors', 'text/plain'],
  ]) {
    const request = {method: 'POST', mode, headers: {'Content-Type': type}, body: JSON.stringify(silence)};
    try { tried.push((await fetch(door + path, request)).type) } catch (error) { tried.push(String(error)) }
  }
  const read = fetch(door + '/api/v2/alerts').then(answer => answer.text());
  tried.push(await read.catch(String));
  return tried;
}"""


class Foreign(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>foreign</h1>")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    with doors(tmp_path_factory.mktemp("doors")) as addresses:
        yield addresses


@pytest.fixture
def foreign_page(browser):
    """A page at a name that points to this machine, as an attacker's may."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://{FOREIGN_NAME}:{server.server_port}/")
    yield page
    page.close()
    server.shutdown()
    server.server_close()


def test_it_silences_nothing_and_reads_nothing(addresses, foreign_page):
    *posts, read = foreign_page.evaluate(ATTACK, [addresses.door, SILENCE])
    assert addresses.silences() == []
    assert posts[1:] == ["opaque", "opaque"], "these were sent without asking first"
    assert "Failed to fetch" in read


def test_a_name_led_to_this_machine_reads_nothing(addresses, foreign_page):
    answer = foreign_page.goto(f"{addresses.door.replace('127.0.0.1', FOREIGN_NAME)}/api/v2/alerts")
    assert answer.status == 403


def test_a_link_opens_it(addresses, foreign_page):
    with foreign_page.expect_navigation() as opened:
        foreign_page.evaluate("address => { location.href = address }", f"{addresses.door}/api/v2/alerts")
    assert opened.value.status == 200
