"""Whom the preview answers: by which names, and from which pages."""

import socket

import pytest

from rqmon.preview.web.guard import refusal

NAMES = frozenset({"boards.example"})


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:4000", None),
        ("127.0.0.1", "http://127.0.0.1"),
        ("192.168.1.7:4000", None),
        ("[::1]:4000", "http://[::1]:4000"),
        ("LOCALHOST:4000", "http://localhost:4000"),
        ("preview:4000", "http://preview:4000"),
        ("boards.localhost:4000", None),
        (socket.gethostname(), None),
        ("boards.example", "https://boards.example"),
        ("Boards.Example:8443", "https://boards.example:8443"),
    ],
)
def test_people_and_pages_of_its_own_are_answered(host: str, origin: str | None) -> None:
    assert refusal(host, origin, NAMES) == ""


@pytest.mark.parametrize(
    "host",
    ["evil.example:4000", "127.0.0.1.evil.example", "localhost.evil.example", "x@evil.example", "", "[::1"],
)
def test_other_names_are_refused(host: str) -> None:
    assert "RQMON_ALLOWED_HOSTS" in refusal(host, None, NAMES)
    assert "RQMON_ALLOWED_HOSTS" in refusal(host, f"http://{host}", NAMES)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:3000",
        "http://127.0.0.1",
        "http://127.0.0.1:4000@evil.example",
        "http://evil.example/127.0.0.1:4000",
        "http://[",
        "null",
        "",
    ],
)
def test_pages_of_other_origins_are_refused(origin: str) -> None:
    assert "another origin" in refusal("127.0.0.1:4000", origin, NAMES)
