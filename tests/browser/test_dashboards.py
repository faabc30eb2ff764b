"""Every generated dashboard in a real browser, drawing a real stack that the demo loads."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect
from redis import Redis
from rq import Queue

from dashboards.paths import DASHBOARDS, ROOT
from dashboards.verify.__main__ import add_to_the_demo
from dashboards.verify.panel_checks import State, empty
from tests.browser.conftest import need
from tests.browser.preview_pages import CHART_DATA, open_dashboard, query_of
from tests.servers import wait_for
from tests.stack import MISSING, Stack

MODELS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / DASHBOARDS).glob("*.json"))}
# Those on which a queue can be chosen.
WITH_QUEUE = [
    uid for uid, model in MODELS.items() if any(v["name"] == "queue" for v in model["templating"]["list"])
]
STILL = "nobody's"  # a queue without workers, so that its numbers don't change
WAITING, SCHEDULED = 7, 3
# Expected values of stats; those of rates change while the test reads them.
STATS = {
    "rq-cron": {"Cron entries": "sum(rq_cron_entries)", "Cron processes": "sum(rq_cron_processes)"},
    "rq-dashboard": {
        "Queued": f'sum(rq_jobs{{status="queued", queue="{STILL}"}})',
        "Scheduled": f'sum(rq_jobs{{status="scheduled", queue="{STILL}"}})',
    },
    "rq-jobs": {"Horses killed": "sum(rq_work_horses_killed_total) or vector(0)"},
    "rq-limits": {"Scheduled": f'sum(rq_jobs{{status="scheduled", queue="{STILL}"}})'},
    "rq-monitoring": {"Targets down": "count(up) - sum(up)"},
    "rq-queues": {"Queued": f'sum(rq_jobs{{status="queued", queue="{STILL}"}})'},
    "rq-workers": {"Registered workers": "sum(rq_workers_by_state)"},
}
CHOSEN = f"var-queue={STILL}&from=now-15m&to=now&refresh=30s"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A separate stack under the demo's load, until the tests are done."""
    need(("chromium", "chromium-browser", "google-chrome"), "chromium")
    folder = Path(tempfile.mkdtemp(prefix="rqmon-"))  # short, because it is in a socket's path
    stack = Stack.new("native", folder)
    try:
        stack.start()
        with Redis.from_url(stack.config.variables["RQ_REDIS_URL"]) as redis:
            add_to_the_demo(redis)
            queue = Queue(STILL, connection=redis)
            for _ in range(WAITING):
                queue.enqueue("rqmon.demo.jobs.queue_health_check")
            for _ in range(SCHEDULED):
                queue.enqueue_in(timedelta(hours=1), "rqmon.demo.jobs.queue_health_check")
        demo = stack.run("demo", "--seconds", "600")
        try:
            yield stack
        finally:
            demo.terminate()
            demo.communicate()
    finally:
        stack.rqmon("stop")
        shutil.rmtree(folder)


def panels_of(uid: str) -> list[dict]:
    return [found for found in MODELS[uid]["panels"] if found["type"] != "row"]


def panel(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def open_rows(page: Page) -> None:
    for row in page.get_by_role("button", expanded=False).all():
        row.click()
    expect(page.locator(".panel.loading:visible")).to_have_count(0)


def is_empty_here(found: dict) -> bool:
    """Whether the demo gives the panel nothing to show."""
    return all(empty(target["expr"]).state is State.EXPECTED for target in found["targets"])


@pytest.mark.parametrize("uid", MODELS)
def test_every_panel_draws_and_a_phone_gets_one_column(uid: str, page: Page, stack: Stack) -> None:
    open_dashboard(page, f"{stack.url('grafana')}/d/{uid}?from=now-5m&to=now&refresh=5s")
    expect(page.get_by_role("heading", level=1)).to_have_text(MODELS[uid]["title"])
    open_rows(page)
    for found in panels_of(uid):
        box = panel(page, found["title"])
        if is_empty_here(found):
            expect(box.locator(".message.error")).to_have_count(0)
            continue
        # The heatmap compares two one-minute steps, and the demo needs time to make each kind of job.
        expect(box.locator(".message:visible"), found["title"]).to_have_count(0, timeout=150_000)
        if box.locator("canvas").count():
            assert any(box.evaluate(CHART_DATA)), found["title"]
        else:
            drawn = box.locator(".tile-value, .dial text, .bar-value, tbody tr")
            assert "".join(drawn.all_text_contents()).strip(), found["title"]
    expect(page.get_by_role("alert")).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth === 390")
    widths = page.eval_on_selector_all(".panel:visible", "panels => panels.map(p => p.offsetWidth)")
    assert len(set(widths)) == 1
    assert widths[0] > 350


@pytest.mark.parametrize("uid", WITH_QUEUE)
def test_links_to_the_others_keep_what_is_chosen(uid: str, page: Page, stack: Stack) -> None:
    following = WITH_QUEUE[(WITH_QUEUE.index(uid) + 1) % len(WITH_QUEUE)]
    open_dashboard(page, f"{stack.url('grafana')}/d/{uid}?{CHOSEN}")
    page.get_by_role("button", name="Choose a dashboard").click()
    menu = page.get_by_role("menu")
    for other in MODELS:
        expect(menu.get_by_text(MODELS[other]["title"], exact=True)).to_be_visible()
    menu.get_by_text(MODELS[following]["title"], exact=True).click()
    page.wait_for_url(re.compile(f"/d/{following}"))
    asked = query_of(page)
    assert (asked["var-queue"], asked["from"], asked["to"]) == ([STILL], ["now-15m"], ["now"])
    expect(page.get_by_role("button", name="Time range: Last 15 minutes")).to_be_visible()
    expect(page.get_by_role("combobox", name="Queue")).to_have_value(STILL)


def test_a_tile_leads_to_where_one_reads_on_with_what_is_chosen(page: Page, stack: Stack) -> None:
    open_dashboard(page, f"{stack.url('grafana')}/d/rq-dashboard?{CHOSEN}")
    panel(page, "Oldest waiting job").get_by_title("Read on in RQ Queues").click()
    page.wait_for_url(re.compile("/d/rq-queues"))
    asked = query_of(page)
    assert (asked["var-queue"], asked["from"], asked["to"]) == ([STILL], ["now-15m"], ["now"])


@pytest.mark.parametrize("uid", STATS)
def test_a_stat_equals_what_prometheus_says(uid: str, page: Page, stack: Stack) -> None:
    wait_for(lambda: stack.query(f'rq_jobs{{status="queued", queue="{STILL}"}} == {WAITING}'))
    open_dashboard(page, f"{stack.url('grafana')}/d/{uid}?var-queue={STILL}&from=now-5m&to=now&refresh=5s")
    for title, expr in STATS[uid].items():
        [answer] = stack.query(expr)
        # A graph's newest point may be older than the stack's first scrape.
        expect(panel(page, title).locator(".tile-value")).to_have_text(answer["value"][1])


def test_the_variable_queue_filters_rows_and_series(page: Page, stack: Stack) -> None:
    open_dashboard(page, f"{stack.url('grafana')}/d/rq-queues?from=now-5m&to=now")
    rows = panel(page, "All queues").locator("tbody tr")
    expect(rows.filter(has_text=STILL)).to_have_count(1)
    assert rows.count() > 1
    page.get_by_role("combobox", name="Queue").click()
    page.get_by_role("option", name=STILL).click()
    page.keyboard.press("Escape")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(STILL)
    jobs = f"{stack.url('rq_dashboard')}/0/view/jobs/{quote(STILL)}/queued/10/asc/1"
    expect(rows.get_by_role("link", name=STILL)).to_have_attribute("href", jobs)
    expect(panel(page, "Backlog by queue").get_by_role("link", name=STILL)).to_have_attribute("href", jobs)
    drawn = panel(page, "Backlog by queue").evaluate(CHART_DATA)
    assert [points > 0 for points in drawn].count(True) == 1
    with stack.redis() as redis:
        waiting = redis.llen(f"rq:queue:{STILL}")
    expect(panel(page, "Queued").locator(".tile-value")).to_have_text(str(waiting))


def test_the_variable_function_filters_rows(page: Page, stack: Stack) -> None:
    open_dashboard(page, f"{stack.url('grafana')}/d/rq-jobs?from=now-5m&to=now")
    rows = panel(page, "Slowest functions").locator("tbody tr")
    expect(rows.filter(has_text="rqmon.demo.jobs.work_for").first).to_be_visible()
    page.get_by_role("combobox", name="Function").click()
    page.get_by_role("option", name="rqmon.demo.jobs.work_for").click()
    page.keyboard.press("Escape")
    expect(rows.filter(has_not_text="rqmon.demo.jobs.work_for")).to_have_count(0)
    expect(rows.first).to_be_visible()
