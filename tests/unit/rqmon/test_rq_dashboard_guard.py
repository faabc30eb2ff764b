import re
from pathlib import Path

import pytest
import rq_dashboard
from werkzeug.datastructures import Authorization, Headers
from werkzeug.exceptions import Forbidden, MethodNotAllowed

from rqmon.guarded_rq_dashboard.app import create_app
from rqmon.guarded_rq_dashboard.guard import check_method, check_origin, is_login
from rqmon.guarded_rq_dashboard.settings import DashboardSettings
from rqmon.guarded_rq_dashboard.templates import TextOnly

HOST = "127.0.0.1:9181"
TEMPLATES = sorted(
    path for path in (Path(rq_dashboard.__file__).parent / "templates").rglob("*.*") if path.is_file()
)


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        (Authorization("basic", {"username": "rq", "password": "pässword"}), True),
        (Authorization("basic", {"username": "rq", "password": "pässwor"}), False),
        (Authorization("basic", {"username": "qr", "password": "pässword"}), False),
        (Authorization("basic", {"username": "rq", "password": ""}), False),
        (Authorization("bearer", token="pässword"), False),
        (Authorization("digest", {"username": "rq", "password": "pässword"}), False),
        (None, False),
    ],
)
def test_a_login_needs_both_the_user_name_and_the_password(given, allowed):
    assert is_login(given, username="rq", password="pässword") is allowed


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": f"http://{HOST}"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, True),
        ({"Sec-Fetch-Site": "same-site", "Origin": f"http://{HOST}"}, False),
        ({"Sec-Fetch-Site": "cross-site", "X-Requested-With": "curl"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": f"http://{HOST}"}, True),
        ({"Origin": f"https://{HOST}"}, True),
        ({"Origin": "http://127.0.0.1:4000", "X-Requested-With": "curl"}, False),
        ({"Origin": "http://127.0.0.1"}, False),
        ({"Origin": f"http://{HOST}.evil.example"}, False),
        ({"Origin": f"http://{HOST}@evil.example"}, False),
        ({"Origin": f"http://evil.example\\@{HOST}"}, False),
        ({"Origin": f"http://evil.example@{HOST}"}, False),
        ({"Referer": f"http://evil.example\\@{HOST}/"}, False),
        ({"Origin": "null", "Referer": f"http://{HOST}/"}, False),
        ({"Origin": "http://[broken"}, False),
        ({"Referer": f"http://{HOST}/0/view/jobs"}, True),
        ({"Referer": f"http://evil.example/?{HOST}"}, False),
        ({"X-Requested-With": "curl"}, True),
        ({}, False),
    ],
)
def test_only_the_dashboards_own_pages_and_scripts_change_state(headers, allowed):
    if allowed:
        check_origin(Headers(headers), host=HOST)
    else:
        with pytest.raises(Forbidden, match="Refused"):
            check_origin(Headers(headers), host=HOST)


def test_no_route_that_changes_state_can_be_read():
    app = create_app(DashboardSettings.from_env({"RQ_DASHBOARD_PASSWORD": "s3cret"}))
    refused = {}
    for rule in app.url_map.iter_rules():
        for method in ("GET", "HEAD"):
            try:
                check_method(method, rule)
            except MethodNotAllowed as error:
                refused[str(rule)] = error.valid_methods
    assert set(map(tuple, refused.values())) == {("OPTIONS", "POST")}
    assert set(refused) == {
        "/job/<name:job_id>/delete",
        "/job/<name:job_id>/requeue",
        "/requeue/<name:queue_name>",
        "/queue/<name:queue_name>/<word:registry_name>/empty",
        "/queue/<name:queue_name>/compact",
        # of queues named `.` and `..`
        "/<word:registry_name>/empty",
        "/queue/<word:registry_name>/empty",
        "/compact",
        "/queue/compact",
    }


def test_the_packages_templates_were_found():
    assert {path.name for path in TEMPLATES} >= {
        "queues.html",
        "jobs.html",
        "job.html",
        "workers.html",
        "jobs.js",
    }


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_corrected_template_writes_only_text(path):
    source = TextOnly.preprocess(None, path.read_text(), path.name)
    assert "<%=" not in source
    assert ".html() %>" not in source  # escaped twice
    assert not re.search(
        r"<script[^>]*text/javascript[^>]*>\s*\n", source
    )  # an inline script without a nonce
    if path.suffix == ".js":
        assert [e for e in re.findall(r"\{\{.*?\}\}", source) if "tojson" not in e] == []
