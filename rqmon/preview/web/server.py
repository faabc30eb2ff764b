"""The preview's routes and web server: on loopback only, with every asset from this machine."""

import time
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from pathlib import Path
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from nicegui import app, ui

from rqmon.preview.grafana.model import Dashboard
from rqmon.preview.prometheus import Prometheus
from rqmon.preview.web.controls import title_bar
from rqmon.preview.web.guard import Guard
from rqmon.preview.web.page import DashboardPage
from rqmon.preview.web.view_state import address, path_between, state_from_query

STATIC = Path(__file__).parent / "static"
# NiceGUI compiles its templates in the page, hence unsafe-eval. Nothing may come from another host.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws://127.0.0.1:* ws://localhost:*; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


def serve(
    dashboards: Mapping[str, Dashboard],
    *,
    prometheus_url: str,
    host: str,
    port: int,
    names: frozenset[str] = frozenset(),
) -> None:
    """Serve until the process is told to stop; answer requests to addresses or to one of the `names`."""
    prometheus = Prometheus(prometheus_url)
    app.on_shutdown(prometheus.close)
    app.add_static_files("/assets", STATIC)
    app.middleware("http")(_secure)
    app.add_middleware(Guard, names=names)
    ui.add_head_html(
        '<link rel="stylesheet" href="/assets/preview.css"><script src="/assets/preview.js"></script>'
        '<link rel="stylesheet" href="/assets/panels.css"><script src="/assets/panels.js"></script>',
        shared=True,
    )
    _add_routes(dashboards, prometheus)
    ui.run(
        host=host,
        port=port,
        title="RQ dashboards",
        favicon=STATIC / "favicon.svg",
        dark=True,
        language="en-US",
        tailwind=False,
        reconnect_timeout=30,  # seconds; the default, 3, is too short for a busy browser or server
        reload=False,
        show=False,
        show_welcome_message=False,
    )


def _add_routes(dashboards: Mapping[str, Dashboard], prometheus: Prometheus) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "prometheus": "up" if await prometheus.is_up() else "down"}

    @ui.page("/")
    def index(request: Request) -> Response | None:
        chosen = request.query_params.multi_items()
        if len(dashboards) == 1:
            return RedirectResponse(address(f"/d/{quote(next(iter(dashboards)), safe='')}", chosen))
        with ui.element("header").classes("topbar"), ui.element("div").classes("topbar-row"):
            title_bar(dashboards, None, lambda dashboard: path_between(dashboard.links, dashboard, chosen))
        with ui.element("main").classes("index"):
            ui.html("Dashboards", tag="h2")
            for dashboard in dashboards.values():
                with ui.link(target=path_between(dashboard.links, dashboard, chosen)).classes("card"):
                    ui.html(f"<b>{escape(dashboard.title)}</b><span>{escape(dashboard.description)}</span>")
        return None

    @ui.page("/d/{uid}/{slug}")
    @ui.page("/d/{uid}")
    def dashboard_page(uid: str, request: Request) -> Response | None:
        dashboard = dashboards.get(uid)
        if dashboard is None:
            return _not_found(uid)
        state, notice = state_from_query(dashboard, request.query_params.multi_items(), now=time.time())
        ui.page_title(f"{dashboard.title} - Preview")
        page = DashboardPage(dashboard, state=state, prometheus=prometheus)
        # Built only for a connected browser: a page has 500 elements, and is kept for a minute without one.
        ui.timer(0, lambda: page.build(dashboards, notice), once=True)
        return None


def _not_found(uid: str) -> Response:
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>No such dashboard</title>'
        '<link rel="stylesheet" href="/assets/preview.css"><main class="index"><h2>No such dashboard</h2>'
        f'<p>There is no dashboard with the uid "{escape(uid[:100])}". <a href="/">See the list</a>.</p>'
        "</main></html>",
        status_code=404,
    )


async def _secure(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await answer(request)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
