import socket

import pytest
from multidict import CIMultiDict

from rqmon.doors.rules import refusal

NAMES = frozenset({"boards.example"})
HOST = {"Host": "127.0.0.1:9090"}
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", HOST),  # curl
        ("POST", HOST),
        ("POST", {"Host": "localhost:9093"}),
        ("POST", {"Host": "doors:9093"}),  # Prometheus, in containers
        ("GET", {"Host": "host.docker.internal:9090"}),  # Grafana in a container of somebody's own
        ("GET", {"Host": "[::1]:9090"}),
        ("GET", {"Host": "LOCALHOST"}),
        ("GET", {"Host": "192.168.1.7:9090"}),
        ("GET", {"Host": "prometheus.localhost:9090"}),
        ("GET", {"Host": socket.gethostname()}),
        ("POST", {"Host": "Boards.Example", "Origin": "https://boards.example"}),  # RQMON_ALLOWED_HOSTS
        ("POST", {**HOST, "Origin": "http://127.0.0.1:9090"}),
        ("POST", {**HOST, "Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:9090"}),
        ("GET", {**HOST, "Sec-Fetch-Site": "none", **NAVIGATION}),  # a typed address
        ("GET", {**HOST, "Sec-Fetch-Site": "cross-site", **NAVIGATION}),  # a link
        ("GET", {**HOST, "Sec-Fetch-Site": "same-site", **NAVIGATION}),
    ],
)
def test_programs_own_pages_and_links_are_let_in(method, headers):
    assert refusal(method, CIMultiDict(headers), names=NAMES) is None


@pytest.mark.parametrize(
    ("method", "headers", "why"),
    [
        ("GET", {}, "Host"),
        ("GET", {"Host": "evil.example"}, "Host"),
        ("GET", {"Host": "evil.example:9090", **NAVIGATION}, "Host"),
        ("GET", {"Host": "127.0.0.1.evil.example"}, "Host"),
        ("GET", {"Host": "evil.example@127.0.0.1.evil.example"}, "Host"),
        ("GET", {"Host": "[evil"}, "Host"),
        ("GET", {"Host": "localhost.evil.example:9090"}, "Host"),
        ("POST", {**HOST, "Origin": "http://evil.example"}, "Origin"),
        ("OPTIONS", {**HOST, "Origin": "http://evil.example"}, "Origin"),
        ("GET", {**HOST, "Origin": "http://evil.example"}, "Origin"),
        ("POST", {**HOST, "Origin": "null"}, "Origin"),
        ("POST", {**HOST, "Origin": ""}, "Origin"),
        ("POST", {**HOST, "Origin": "http://127.0.0.1:4000"}, "Origin"),  # another port is another page
        ("POST", {**HOST, "Origin": "http://127.0.0.1:9090@evil.example"}, "Origin"),
        ("POST", {**HOST, "Origin": "http://evil.example/127.0.0.1:9090"}, "Origin"),
        ("POST", {**HOST, "Origin": "http://evil.example\\@127.0.0.1:9090"}, "Origin"),
        ("GET", {**HOST, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, "another site"),
        ("GET", {**HOST, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, "another site"),
        ("POST", {**HOST, "Sec-Fetch-Site": "cross-site", **NAVIGATION}, "another site"),  # a form
        (
            "GET",
            {**HOST, "Sec-Fetch-Site": "cross-site", **NAVIGATION, "Sec-Fetch-Dest": "iframe"},
            "another",
        ),
    ],
)
def test_what_another_sites_page_may_have_made_is_refused(method, headers, why):
    assert why in (refusal(method, CIMultiDict(headers), names=NAMES) or "let in")
