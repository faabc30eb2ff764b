"""The dashboard in a real Chromium: log in, requeue, purge; nothing in a job runs as a script."""

import signal

import pytest
from playwright.sync_api import Error, expect
from rq import Queue, SimpleWorker

from tests.browser.conftest import CHROMIUM_ARGS, need
from tests.jobs import fail, pid
from tests.processes.rq_dashboard_process import (
    HOSTILE,
    LOGIN,
    Dashboard,
    Valkey,
    failed_ids,
    queued_ids,
    seems_to_run,
)
from tests.servers import free_port, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def valkey():
    valkey = Valkey()
    yield valkey
    valkey.stop()


@pytest.fixture(scope="module")
def dashboard(valkey, tmp_path_factory):
    dashboard = Dashboard(valkey, tmp_path_factory.mktemp("dashboard") / "log")
    wait_for(lambda: dashboard.answers() == 200)
    yield dashboard
    dashboard.stop()


@pytest.fixture
def page(browser, dashboard, valkey):
    """A page that logs in; a script error, a blocked resource or a request to another host fails the test."""
    context = browser.new_context(
        base_url=dashboard.origin,
        http_credentials={"username": LOGIN[0], "password": LOGIN[1]},
        viewport={"width": 1280, "height": 800},
    )
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(f"script error: {error}"))
    page.on("console", lambda m: wrong.append(m.text) if "Content Security Policy" in m.text else None)
    context.on(
        "request", lambda r: wrong.append(r.url) if not r.url.startswith("http://127.0.0.1:") else None
    )
    yield page
    context.close()
    valkey.client.flushall()
    assert wrong == []


@pytest.fixture
def mine(valkey):
    """The queue "mine": a failed job, then two that wait."""
    queue = Queue("mine", connection=valkey.client)
    queue.enqueue(fail)
    SimpleWorker([queue], connection=valkey.client).work(burst=True)
    queue.enqueue(pid)
    queue.enqueue(pid)
    assert (len(failed_ids(valkey)), len(queued_ids(valkey))) == (1, 2)
    return queue


def test_without_the_password_the_browser_asks_for_it(browser, dashboard):
    context = browser.new_context()
    page = context.new_page()
    with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):  # no password was given
        page.goto(dashboard.origin)
    context.close()


def test_requeue_a_failed_job_then_purge_its_queue_by_clicking(page, valkey, mine):
    page.goto("/")
    row = page.locator("tr[data-role=queue]", has_text="mine")
    expect(row.locator("td").nth(1)).to_have_text("2")
    expect(row.locator("td").nth(6)).to_have_text("1")
    row.locator("td").nth(6).get_by_role("link").click()
    expect(page.locator("pre.exc_info")).to_contain_text("spanner in the works")
    page.get_by_role("link", name="Requeue", exact=True).click()
    expect(page.get_by_text("No jobs.")).to_be_visible()
    wait_for(lambda: (failed_ids(valkey), len(queued_ids(valkey))) == ([], 3))

    page.locator("#select-registry").select_option("queued")
    expect(page.locator("tr[data-role=job]")).to_have_count(3)
    page.get_by_role("link", name="Empty queue").click()
    page.get_by_role("button", name="No").click()
    expect(page.locator("#confirmation-modal")).to_be_hidden()
    assert len(queued_ids(valkey)) == 3
    page.get_by_role("link", name="Empty queue").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("No jobs.")).to_be_visible()
    wait_for(lambda: queued_ids(valkey) == [])


def test_requeue_all_by_clicking(page, valkey, mine):
    page.goto("/0/view/jobs/mine/failed/8/asc/1")
    page.get_by_role("link", name="Requeue All").click()
    page.get_by_role("button", name="Yes").click()
    wait_for(lambda: (failed_ids(valkey), len(queued_ids(valkey))) == ([], 3))


def test_a_foreign_page_with_the_remembered_password_changes_nothing(page, dashboard, valkey, mine):
    page.goto("/")  # from now on Chromium sends the password by itself
    foreign = f"http://127.0.0.1:{free_port()}/"
    form = f'<form method="post" action="{dashboard.origin}/requeue/mine"><button>Win a prize</button></form>'
    page.route(foreign, lambda route: route.fulfill(content_type="text/html", body=form))
    page.goto(foreign)
    with page.expect_response("**/requeue/mine") as answer:
        page.get_by_role("button").click()
    assert answer.value.status == 403
    expect(page.get_by_text("Refused: another site made this request.")).to_be_visible()
    assert (len(failed_ids(valkey)), len(queued_ids(valkey))) == (1, 2)


def test_what_jobs_and_queues_hold_is_shown_as_text(page, valkey):
    queue = Queue(HOSTILE, connection=valkey.client)
    job = queue.enqueue("builtins.int", HOSTILE, description=HOSTILE, meta={"note": HOSTILE})
    succeeded = queue.enqueue("builtins.str", HOSTILE)
    worker = SimpleWorker([queue], connection=valkey.client, name=HOSTILE)
    worker.work(burst=True)
    worker.register_birth()
    seems_to_run(worker, job.id)

    page.goto("/")
    expect(page.locator("tr[data-role=queue] td").first).to_have_text(HOSTILE)
    page.locator("tr[data-role=queue] td").nth(6).get_by_role("link").click()
    expect(page.locator("#select-queue")).to_have_value(HOSTILE)
    expect(page.locator(".description")).to_have_text(HOSTILE)
    expect(page.locator("pre.exc_info")).to_contain_text(HOSTILE)
    page.locator(".job_id a").click()
    expect(page.locator(".description-scroll")).to_have_text(HOSTILE)
    expect(page.locator("#job-data")).to_contain_text(f"Origin queue:{HOSTILE}")
    expect(page.locator("#job-data")).to_contain_text(f'{{"note": "{HOSTILE}"}}')
    expect(page.locator("pre.exc_info")).to_contain_text(HOSTILE)
    page.goto(f"/0/view/job/{succeeded.id}")
    expect(page.locator("#job-data")).to_contain_text(f'Result:"{HOSTILE}"')
    page.goto("/0/view/workers")
    expect(page.locator("tr[data-role=worker] td").nth(0)).to_have_text(HOSTILE)
    expect(page.locator("tr[data-role=worker] td").nth(1)).to_contain_text(HOSTILE)
    expect(page.locator("tr[data-role=worker] td").nth(2)).to_have_text(HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


def test_an_address_runs_no_script(page):
    for name in ("');window.hacked=1;('", "\\", HOSTILE):
        page.goto("/")
        page.evaluate(
            "name => location.assign('/0/view/jobs/' + encodeURIComponent(name) + '/queued/8/asc/1')", name
        )
        expect(page.locator("#select-queue")).to_have_value(name)
        page.locator("#select-queue").click()
        page.locator("h1, .intro").first.hover()
        expect(page.locator("#select-queue")).to_have_value(name)
        assert page.evaluate("window.hacked") is None


def test_the_policy_alone_would_stop_a_script(browser, dashboard):
    context = browser.new_context(http_credentials={"username": LOGIN[0], "password": LOGIN[1]})
    page = context.new_page()
    page.goto(dashboard.origin)
    blocked = page.evaluate(
        """html => new Promise(resolve => {
            document.addEventListener('securitypolicyviolation', e => resolve(e.effectiveDirective));
            $('body').append(html);
        })""",
        HOSTILE,
    )
    assert blocked == "script-src-attr"
    assert page.evaluate("window.hacked") is None
    context.close()


@pytest.mark.parametrize("path", ["/", "/0/view/job/{id}"])
def test_an_open_page_says_that_redis_is_gone_and_comes_back(page, valkey, mine, path):
    path = path.format(id=mine.job_ids[0])
    page.goto(path)
    expect(page.get_by_text("RQ-dashboard").first).to_be_visible()
    valkey.signal(signal.SIGSTOP)
    try:
        expect(page.get_by_role("heading", name="Redis does not answer")).to_be_visible()
    finally:
        valkey.signal(signal.SIGCONT)
    expect(page.get_by_text("RQ-dashboard").first).to_be_visible()
    assert page.url.endswith(path)


@pytest.mark.parametrize("name", ["high/mail", "a?b#c%2F", "two\nlines", "it's"])
def test_a_queue_of_any_name_is_opened_filtered_and_emptied_by_clicking(page, valkey, name):
    queue = Queue(name, connection=valkey.client)
    queue.enqueue(fail)
    SimpleWorker([queue], connection=valkey.client).work(burst=True)
    queue.enqueue(pid)
    page.goto("/")
    page.locator("tr[data-role=queue] td").nth(1).get_by_role("link").click()
    expect(page.locator("tr[data-role=job] .description")).to_have_text("tests.jobs.pid()")
    page.locator("#select-registry").select_option("failed")
    expect(page.locator("pre.exc_info")).to_contain_text("spanner in the works")
    page.locator("#select-sort-order").select_option("dsc")
    page.wait_for_url("**/dsc/1")
    page.get_by_role("link", name="Requeue All").click()
    page.get_by_role("button", name="Yes").click()
    wait_for(lambda: (failed_ids(valkey, name), len(queued_ids(valkey, name))) == ([], 2))
    page.locator("#select-registry").select_option("queued")
    expect(page.locator("tr[data-role=job]")).to_have_count(2)
    page.get_by_role("link", name="Empty queue").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("No jobs.")).to_be_visible()
    assert queued_ids(valkey, name) == []


def test_a_job_whose_result_json_cannot_hold_is_shown(page, valkey):
    queue = Queue("mine", connection=valkey.client)
    parent = queue.enqueue("builtins.set", "a", meta={"tags": {1}})
    child = queue.enqueue(pid, depends_on=parent)
    SimpleWorker([queue], connection=valkey.client).work(burst=True)
    page.goto(f"/0/view/job/{parent.id}")
    expect(page.locator("#job-data")).to_contain_text("Result:{'a'}")
    expect(page.locator("#job-data")).to_contain_text("Metadata:{'tags': {1}}")
    page.goto(f"/0/view/job/{child.id}")
    page.get_by_role("link", name=parent.id).click()
    expect(page.locator("#job-data")).to_contain_text("Result:{'a'}")


def test_the_page_says_what_an_action_had_to_say(page, valkey, mine):
    page.goto("/0/view/jobs/mine/failed/8/asc/1")
    expect(page.locator("tr[data-role=job]")).to_have_count(1)
    [gone] = failed_ids(valkey)
    valkey.client.delete(f"rq:job:{gone}")
    page.get_by_role("link", name="Requeue All").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_role("alert")).to_have_text(f"Gone already, and now taken from this list: {gone}.")
    valkey.client.replicaof("127.0.0.1", free_port())
    try:
        page.goto("/0/view/jobs/mine/queued/8/asc/1")
        expect(page.locator("tr[data-role=job]")).to_have_count(2)
        page.get_by_role("link", name="Empty queue").click()
        page.get_by_role("button", name="Yes").click()
        expect(page.get_by_role("alert")).to_contain_text(
            "Nothing more was changed. Redis refuses (READONLY)"
        )
    finally:
        valkey.client.replicaof("NO", "ONE")
    assert len(queued_ids(valkey)) == 2


def test_a_name_that_was_turned_to_this_address_shows_nothing(browser, dashboard):
    """DNS rebinding: the browser has the password, but for another name."""
    chromium = browser.browser_type.launch(
        executable_path=need(("chromium", "chromium-browser", "google-chrome"), "chromium"),
        args=[*CHROMIUM_ARGS, "--host-resolver-rules=MAP evil.example 127.0.0.1"],
    )
    context = chromium.new_context(
        http_credentials={"username": LOGIN[0], "password": LOGIN[1], "origin": dashboard.origin}
    )
    page = context.new_page()
    assert page.goto(dashboard.origin).status == 200
    with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
        page.goto(f"http://evil.example:{dashboard.port}/")
    chromium.close()
