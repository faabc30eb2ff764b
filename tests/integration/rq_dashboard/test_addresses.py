"""Any queue name and any address gives a page, or a line that says why not; never a 500."""

import itertools
import re
from urllib.parse import quote

import httpx
import pytest
from rq import Queue

from dashboards.kit import links
from rqmon.guarded_rq_dashboard.app import create_app
from rqmon.guarded_rq_dashboard.settings import DashboardSettings
from tests.jobs import pid
from tests.processes.rq_dashboard_process import HOSTILE, failed_ids, queued_ids

NAMES = (
    *("plain", "high/mail", "/", "a//b", "a b", "it's", 'say "hi"', "50%", "%2F", "a#b", "a?b", "x+y", "ünï"),
    *("a&b", "..", ".", "a;b", "C:\\x", "default:intermediate", "two\nlines", "line\n", "\x00", HOSTILE),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_queue_of_any_name_is_opened_and_emptied(dashboard, valkey, name):
    job = Queue(name, connection=valkey.client).enqueue(pid)
    Queue("other", connection=valkey.client).enqueue(pid)
    queues = {queue["name"]: queue for queue in dashboard.http.get("/0/data/queues.json").json()["queues"]}
    assert queues[name]["count"] == 1
    link = queues[name]["queued_url"]
    path = f"/0/data/jobs/{quote(name, safe='')}/queued/10/asc/1.json"  # as Grafana and the pages encode it
    assert dashboard.http.get(link).status_code == 200
    for shown in (dashboard.http.get(f"{link}.json".replace("/view/", "/data/")), dashboard.http.get(path)):
        assert (shown.json()["name"], [each["id"] for each in shown.json()["jobs"]]) == (name, [job.id])
        assert dashboard.http.get(shown.json()["pagination"]["last_page"]["url"]).status_code == 200
    assert dashboard.post(f"/queue/{quote(name, safe='')}/compact").status_code == 200
    assert dashboard.post(f"/queue/{quote(name, safe='')}/queued/empty").status_code == 200
    assert (queued_ids(valkey, name), len(queued_ids(valkey, "other"))) == ([], 1)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (".", "..")])
def test_the_failed_jobs_of_a_queue_of_any_name_are_requeued(dashboard, valkey, failed_jobs, name):
    ids = failed_jobs(2, name)
    assert dashboard.post(f"/requeue/{quote(name, safe='')}").json() == {"status": "OK", "count": 2}
    assert (sorted(queued_ids(valkey, name)), failed_ids(valkey, name)) == (sorted(ids), [])


def test_a_proxy_that_decodes_paths_changes_nothing(dashboard, valkey):
    Queue("high/mail", connection=valkey.client).enqueue(pid)
    shown = dashboard.http.get("/0/data/jobs/high/mail/queued/10/asc/1.json").json()
    assert (shown["name"], len(shown["jobs"])) == ("high/mail", 1)


@pytest.mark.parametrize("link", [links.QUEUED, links.SCHEDULED, links.FAILED], ids=lambda link: link.title)
def test_the_dashboards_links_lead_to_their_jobs(dashboard, valkey, failed_jobs, link):
    ids = failed_jobs(3, "high/mail")
    path = f"/jobs/{quote('high/mail', safe='')}/{link.page}"
    assert dashboard.http.get(f"/0/view{path}").status_code == 200
    shown = [job["id"] for job in dashboard.http.get(f"/0/data{path}.json").json()["jobs"]]
    if link is links.FAILED:  # newest first
        assert shown == sorted(ids, reverse=True)


@pytest.mark.parametrize(("state", "order"), [("queued", "asc"), ("scheduled", "asc"), ("failed", "dsc")])
def test_what_ended_last_is_on_a_queues_first_page_and_what_comes_next(dashboard, failed_jobs, state, order):
    failed_jobs(1)
    (queue,) = dashboard.http.get("/0/data/queues.json").json()["queues"]
    assert queue[f"{state}_url"].endswith(f"/{state}/8/{order}/1")


@pytest.mark.parametrize("order", ["asc", "dsc"])
@pytest.mark.parametrize("state", ["queued", "failed"])
def test_every_job_is_on_one_page(dashboard, valkey, failed_jobs, state, order):
    ids = failed_jobs(20)
    if state == "queued":
        dashboard.post("/requeue/mine")
        ids = queued_ids(valkey)
    else:
        ids = failed_ids(valkey)
    pages = [
        dashboard.http.get(f"/0/data/jobs/mine/{state}/8/{order}/{page}.json").json() for page in (1, 2, 3, 4)
    ]
    shown = [[job["id"] for job in page["jobs"]] for page in pages]
    assert [len(page) for page in shown] == [8, 8, 4, 0]
    assert list(itertools.chain(*shown)) == (ids if order == "asc" else ids[::-1])
    numbers = [each["number"] for each in pages[0]["pagination"]["pages_in_window"]]
    assert (numbers, pages[0]["pagination"]["num_pages"]) == ([1, 2, 3], 3)
    assert pages[3]["pagination"]["prev_page"] == pages[0]["pagination"]["last_page"]


BAD = (
    "",
    "0",
    "-1",
    "1.5",
    "ten",
    "9" * 5000,
    "٣",
    "\x00",
    "a/b",
    "%00",
    "..",
    "'",
    HOSTILE,
    "\udcff",
    " ",
    "null",
)


def test_no_address_is_an_error_of_the_server(dashboard, valkey, failed_jobs):
    """Every route, with a bad value in every place, one at a time and all at once."""
    failed_jobs(3)
    app = create_app(DashboardSettings.from_env({"RQ_DASHBOARD_PASSWORD": "s3cret"}))
    good = {"queue_name": "mine", "registry_name": "failed", "per_page": "8", "order": "asc", "page": "1"}
    good |= {"instance_number": "0", "job_id": "x", "filename": "css/main.css"}
    asked = 0
    for rule in app.url_map.iter_rules():
        places = re.findall(r"<(?:\w+:)?(\w+)>", rule.rule)
        for bad, place in itertools.product(BAD, (*places, "all")):
            chosen = {name: bad if place in (name, "all") else good[name] for name in places}
            path = re.sub(
                r"<(?:\w+:)?(\w+)>",
                lambda match, chosen=chosen: quote(chosen[match[1]], safe="", errors="surrogateescape"),
                rule.rule,
            )
            method = "POST" if "POST" in rule.methods else "GET"
            answer = dashboard.http.request(method, path, headers={"Origin": dashboard.origin})
            assert answer.status_code < 500, (method, path, answer.text)
            if answer.status_code in (400, 404, 409) and not answer.text.startswith("The requested URL"):
                assert answer.text.count("\n") == 1 + bad.count("\n")
            asked += 1
    assert asked > 500


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/0/data/jobs/mine/nosuch/8/asc/1.json", 404, "There is no registry 'nosuch': use one of queued"),
        ("/0/view/jobs/mine/nosuch/8/asc/1", 404, "There is no registry 'nosuch'"),
        ("/0/data/jobs/mine/queued/0/asc/1.json", 400, "per_page is '0': use a number from 1 to 1000."),
        ("/0/data/jobs/mine/queued/8/asc/-1.json", 400, "page is '-1'"),
        ("/0/data/jobs/mine/queued/8/up/1.json", 400, "There is no order 'up': use asc or dsc."),
        ("/0/data/job/a%00b.json", 404, "There is no such job"),
        ("/0/view/job/a%2Fb", 404, "There is no such job"),
        ("/7/view/queues", 404, "There is no Redis with this number"),
    ],
)
def test_a_bad_address_is_said_in_a_line(dashboard, path, status, says):
    answer = dashboard.http.get(path)
    assert (answer.status_code, answer.text.count("\n")) == (status, 1)
    assert says in answer.text


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ODD"]
)
def test_no_path_and_method_tells_a_rebound_name_anything(dashboard, method):
    """A page whose name was rebound to this address has no password: browsers keep it by name."""
    for path in ("/", "/0/data/queues.json", "/job/x/delete", "/requeue/mine", "/static/css/main.css", "/no"):
        answer = httpx.request(method, dashboard.origin + path, headers={"Host": "evil.example"})
        assert answer.status_code == 401
        answer = dashboard.http.request(
            method, path, headers={"Host": "127.0.0.1", "Origin": "http://evil.example"}
        )
        assert answer.status_code in ((200, 404, 405) if method in ("GET", "HEAD", "OPTIONS") else (403,))
