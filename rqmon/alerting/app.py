"""The receiver on this machine: Alertmanager tells it, `rqmon alerts log` asks it; and the runbooks."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from rqmon.alerting import runbooks
from rqmon.alerting.log import AlertLog
from rqmon.doors.rules import refusal

Respond = Callable[[str, list[tuple[str, str]]], Any]
WsgiApp = Callable[[dict[str, Any], Respond], Iterable[bytes]]

# Where Alertmanager tells it, and where it is asked.
PATH = "/notifications"
_LONGEST_BYTES = 2**20
_MOST_ALERTS = 100
_LONGEST_TEXT = 2000
_HEADERS = {
    "Host": "HTTP_HOST",
    "Origin": "HTTP_ORIGIN",
    "Sec-Fetch-Site": "HTTP_SEC_FETCH_SITE",
    "Sec-Fetch-Mode": "HTTP_SEC_FETCH_MODE",
    "Sec-Fetch-Dest": "HTTP_SEC_FETCH_DEST",
}


def wsgi_app(log: AlertLog) -> WsgiApp:
    """The application; programs of this machine and of the containers' network may ask it, pages may not."""

    def app(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        status, body = _answer(log, environ)
        kind = "text/html; charset=utf-8" if body.startswith(b"<") else "application/json"
        respond(
            f"{status.value} {status.phrase}",
            [
                ("Content-Type", kind),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", runbooks.CONTENT_SECURITY_POLICY),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return app


def _answer(log: AlertLog, environ: dict[str, Any]) -> tuple[HTTPStatus, bytes]:
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    headers = {name: environ[key] for name, key in _HEADERS.items() if key in environ}
    if (why := refusal(method, headers, names=frozenset())) is not None:
        return HTTPStatus.FORBIDDEN, _json({"error": why})
    if path == "/healthz":
        return HTTPStatus.OK, _json({"status": "ok"})
    if path == runbooks.PATH and method in ("GET", "HEAD") and (page := runbooks.page()) is not None:
        return HTTPStatus.OK, page
    if path != PATH:
        return HTTPStatus.NOT_FOUND, _json({"error": f"use {PATH}"})
    if method in ("GET", "HEAD"):
        asked = parse_qs(environ.get("QUERY_STRING", "")).get("last", ["100"])[0]
        if not (asked.isascii() and asked.isdigit() and len(asked) < 7):
            return HTTPStatus.BAD_REQUEST, _json({"error": "last is no number"})
        return HTTPStatus.OK, _json(log.last(int(asked)))
    if method != "POST":
        return HTTPStatus.METHOD_NOT_ALLOWED, _json({"error": "use GET or POST"})
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > _LONGEST_BYTES:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _json({"error": f"more than {_LONGEST_BYTES} bytes"})
    try:
        record = _record(json.loads(environ["wsgi.input"].read(length)))
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return HTTPStatus.BAD_REQUEST, _json({"error": "this is no notification of Alertmanager's"})
    log.append(record)
    return HTTPStatus.OK, _json({"status": "ok"})


def _record(told: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a notification."""
    return {
        "received_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "receiver": _text(told["receiver"]),
        "status": _text(told["status"]),
        "alerts": [
            {
                "status": _text(alert["status"]),
                "since": _text(alert["startsAt"]),
                "labels": _texts(alert["labels"]),
                "annotations": _texts(alert["annotations"]),
            }
            for alert in told["alerts"][:_MOST_ALERTS]
        ],
        "left_out": max(0, len(told["alerts"]) - _MOST_ALERTS),
    }


def _texts(given: dict[str, Any]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in given.items()}


def _text(value: object) -> str:
    return str(value)[:_LONGEST_TEXT]


def _json(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"
