"""The web side: /healthz, and the metrics on every other path, as rq-exporter has them."""

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from monitoring.exporter.exposition import write
from monitoring.exporter.scrapes import Scrapes

Respond = Callable[[str, list[tuple[str, str]]], Any]


def create_app(
    scrapes: Scrapes, own: CollectorRegistry
) -> Callable[[dict[str, Any], Respond], Iterable[bytes]]:
    """The WSGI application; `own` holds the exporter's own metrics, of its process and its scrapes."""

    def app(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return answer(respond, "405 Method Not Allowed", "text/plain", b"Use GET.\n")
        if environ["PATH_INFO"] == "/healthz":
            if scrapes.healthy():
                return answer(respond, "200 OK", "text/plain", b"ok\n")
            return answer(respond, "503 Service Unavailable", "text/plain", b"Redis does not answer.\n")
        encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        families = write(scrapes.families(), openmetrics="openmetrics" in content_type)
        # Last, because it counts this scrape, and because OpenMetrics's end mark is at its end.
        return answer(respond, "200 OK", content_type, families + encode(own))

    def answer(respond: Respond, status: str, content_type: str, body: bytes) -> Iterable[bytes]:
        respond(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return [body]

    return app
