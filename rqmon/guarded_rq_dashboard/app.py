"""The application: rq-dashboard's pages with a login, security headers, a health check and error pages."""

import logging
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import quote

from flask import Flask, Response, g, redirect, render_template_string, request
from flask.typing import ResponseReturnValue
from redis.exceptions import RedisError, ResponseError
from rq import Queue
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from werkzeug.exceptions import HTTPException, NotFound

from rqmon.guarded_rq_dashboard import guard, views
from rqmon.guarded_rq_dashboard.paths import KeptNames, Name, Number, Word
from rqmon.guarded_rq_dashboard.reading import Reader
from rqmon.guarded_rq_dashboard.servers import Server, connect
from rqmon.guarded_rq_dashboard.settings import DashboardSettings
from rqmon.guarded_rq_dashboard.templates import TextOnly
from scheduler.connections.refusals import describe, refusal
from scheduler.serializers import SERIALIZERS

# unsafe-eval: rq-dashboard's Underscore compiles its templates; the nonce covers its one inline script.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_ERROR_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta http-equiv="refresh" content="3">
<link rel="stylesheet" href="{{ url_for('static', filename='css/bootstrap.min.css') }}"></head>
<body><main class="container p-5"><h1>{{ title }}</h1>
<p>{{ reason }}</p><p>This page tries again every 3 seconds.</p></main></body></html>
"""

_log = logging.getLogger(__name__)


def create_app(settings: DashboardSettings) -> Flask:
    """The dashboard as a WSGI application; it connects to Redis at the first request, not here.

    Raises:
        ConfigError: redis-py refuses a URL of the settings.
    """
    servers = connect(settings)
    app = Flask(
        "rq_dashboard",  # its root has the static files
        static_url_path=f"{settings.url_prefix}/static",
    )
    app.wsgi_app = KeptNames(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation does
    app.config["SETTINGS"] = settings
    app.config["ADDRESSES"] = [server.address for server in servers]
    app.jinja_env.add_extension(TextOnly)
    app.url_map.converters |= {"name": Name, "word": Word, "int": Number}
    # Redirects, for doubled slashes or to defaults, would change the names in an address.
    app.url_map.merge_slashes = app.url_map.redirect_defaults = False
    _protect(app, settings)
    _choose_server(app, settings, servers)
    _report_errors(app)
    _answer_health_checks(app, servers)
    app.register_blueprint(views.blueprint(), url_prefix=settings.url_prefix or None)
    if settings.url_prefix:
        _lead_to_prefix(app, settings.url_prefix)
    return app


def _lead_to_prefix(app: Flask, prefix: str) -> None:
    """Redirect links that lack the prefix, such as those of the Grafana dashboards to jobs."""

    @app.get("/", defaults={"rest": ""})
    @app.get("/<path:rest>")
    def without_prefix(rest: str) -> ResponseReturnValue:
        if f"{request.path}/".startswith(f"{prefix}/"):
            raise NotFound
        return redirect(f"{prefix}/{quote(rest, safe='/%')}")  # the % of what `KeptNames` keeps


def _choose_server(app: Flask, settings: DashboardSettings, servers: Sequence[Server]) -> None:
    @app.before_request
    def choose_server() -> None:
        if request.blueprint != views.NAME or request.endpoint == f"{views.NAME}.static":
            return
        # A page's path has the prefix; that of an action has none, and the pages add it.
        asked = (request.view_args or {}).pop("instance_number", request.args.get("instance", 0))
        if str(asked) not in map(str, range(len(servers))):
            raise NotFound(f"There is no Redis with this number here: use 0 to {len(servers) - 1}.")
        g.instance_number = int(asked)
        redis = servers[g.instance_number].redis
        g.reader = Reader(
            redis=redis, serializer=SERIALIZERS[settings.serializer], full_args=settings.full_args
        )
        # Pages that read nothing themselves would otherwise be shown, and stay empty. A Redis that can't save
        # to disk refuses PING, but answers this.
        redis.exists(Queue.redis_queues_keys)

    @app.url_defaults
    def name_server(endpoint: str, variables: dict[str, object]) -> None:
        if app.url_map.is_endpoint_expecting(endpoint, "instance_number") or not g.get("instance_number"):
            return
        if endpoint.startswith(f"{views.NAME}.") and not endpoint.endswith(".static"):
            variables["instance"] = g.instance_number


def _protect(app: Flask, settings: DashboardSettings) -> None:
    @app.before_request
    def check_request() -> Response | None:
        g.csp_nonce = secrets.token_urlsafe(16)
        if request.endpoint == "healthz":
            return None
        if not guard.is_login(request.authorization, username=settings.username, password=settings.password):
            response = _text("Log in with the dashboard's user name and password.", HTTPStatus.UNAUTHORIZED)
            response.headers["WWW-Authenticate"] = 'Basic realm="RQ dashboard", charset="UTF-8"'
            return response
        if request.url_rule:
            guard.check_method(request.method, request.url_rule)
        if request.method not in guard.SAFE_METHODS:
            guard.check_origin(request.headers, host=request.host)
        return None

    @app.after_request
    def add_security_headers(response: Response) -> Response:
        policy = _CONTENT_SECURITY_POLICY.format(nonce=g.csp_nonce)
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"  # the guard reads Referer from older browsers
        return response


def _report_errors(app: Flask) -> None:
    @app.errorhandler(RedisError)
    def redis_error(error: RedisError) -> Response:
        code = refusal(error)
        _log.warning("redis_error", extra={"error": str(error), "code": code, "path": request.path})
        answers = code is not None or isinstance(error, ResponseError)
        if request.method not in guard.SAFE_METHODS:
            status = HTTPStatus.CONFLICT if answers else HTTPStatus.SERVICE_UNAVAILABLE
            return _text(f"Nothing more was changed. {_reason(error)}", status)
        title = "Redis refuses" if answers else "Redis does not answer"
        response = Response(
            render_template_string(_ERROR_PAGE, title=title, reason=_reason(error)),
            HTTPStatus.BAD_GATEWAY if answers else HTTPStatus.SERVICE_UNAVAILABLE,
        )
        response.headers["Retry-After"] = "3"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(NoSuchJobError)
    def no_such_job(_error: NoSuchJobError) -> Response:
        return _text(
            "There is no such job: it was deleted or its time to live is over.", HTTPStatus.NOT_FOUND
        )

    @app.errorhandler(InvalidJobOperation)
    def invalid_job_operation(_error: InvalidJobOperation) -> Response:
        return _text("The job is not in a state that allows this: reload the page.", HTTPStatus.CONFLICT)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> ResponseReturnValue:
        if error.response is not None:  # a redirect
            return error.response
        response = _text(error.description or error.name, HTTPStatus(error.code or 500))
        response.headers.extend(header for header in error.get_headers() if header[0] == "Allow")
        return response


def _answer_health_checks(app: Flask, servers: Sequence[Server]) -> None:
    @app.get("/healthz")
    def healthz() -> tuple[dict[str, str], int]:
        for server in servers:
            try:
                server.health.exists(Queue.redis_queues_keys)
            except RedisError as error:
                code = refusal(error)
                if code is None:
                    return {"status": "redis does not answer"}, HTTPStatus.SERVICE_UNAVAILABLE
                return {"status": f"redis refuses: {code}"}, HTTPStatus.BAD_GATEWAY
        return {"status": "ok"}, HTTPStatus.OK


def _reason(error: RedisError) -> str:
    if refusal(error) is None and not isinstance(error, ResponseError):
        return "Redis does not answer. The queues can't be shown or changed until it does."
    return f"{describe(error)}."


def _text(line: str, status: HTTPStatus) -> Response:
    return Response(f"{line}\n", status, content_type="text/plain; charset=utf-8")
