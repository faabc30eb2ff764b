"""rq-dashboard's pages with a login, security headers, a health check and an error page around them."""

import logging
import secrets
from http import HTTPStatus

from flask import Flask, Response, g, request
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq_dashboard import web
from werkzeug.exceptions import HTTPException, NotFound

from monitoring.rq_dashboard import guard
from monitoring.rq_dashboard.jobs import read_with
from monitoring.rq_dashboard.settings import DashboardSettings
from monitoring.rq_dashboard.templates import TextOnly
from scheduler.queues import shared_connection
from scheduler.serializers import SERIALIZERS

_HEALTH_TIMEOUT_SECONDS = 1.0

# unsafe-eval: rq-dashboard's Underscore compiles its templates; the nonce covers its one inline script.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_REDIS_DOES_NOT_ANSWER = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Redis does not answer</title>
<meta http-equiv="refresh" content="3">
<link rel="stylesheet" href="/static/css/bootstrap.min.css"></head>
<body><main class="container p-5"><h1>Redis does not answer</h1>
<p>The queues can't be shown until it does. This page tries again every 3 seconds.</p></main></body></html>
"""

_log = logging.getLogger(__name__)


def create_app(settings: DashboardSettings) -> Flask:
    """The dashboard as a WSGI application; it connects to Redis at the first request, not here."""
    app = Flask(web.blueprint.import_name.partition(".")[0])  # its root has the static files
    app.jinja_env.add_extension(TextOnly)
    app.register_blueprint(web.blueprint)
    _connect(app, settings.redis_url)
    read_with(SERIALIZERS[settings.serializer])
    _protect(app, settings)
    _report_errors(app)
    _answer_health_checks(app, settings.redis_url)
    return app


def _connect(app: Flask, redis_url: str) -> None:
    connection = shared_connection(redis_url)
    server = connection.connection_pool.connection_kwargs
    address = server.get("path") or f"{server.get('host', 'localhost')}:{server.get('port', 6379)}"
    # rq-dashboard shows this on every page: no URL, so nothing secret. It also connects to it anew, without
    # timeouts, at every request; not in this application.
    app.config["RQ_DASHBOARD_REDIS_URL"] = [f"{address}/{server.get('db', 0)}"]
    app.before_request_funcs[web.blueprint.name].remove(web.push_rq_connection)
    app.redis_conn = connection  # type: ignore[attr-defined]  # where rq-dashboard looks for it

    def check_redis() -> None:
        if (request.view_args or {}).get("instance_number", 0) != 0:
            raise NotFound("There is only one Redis here, number 0.")
        # Asked first because rq-dashboard turns a lost connection into a page with status 200.
        connection.ping()

    app.before_request_funcs[web.blueprint.name].append(check_redis)


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
    def redis_does_not_answer(error: RedisError) -> Response:
        _log.warning("redis_does_not_answer", extra={"error": str(error), "path": request.path})
        response = Response(_REDIS_DOES_NOT_ANSWER, HTTPStatus.SERVICE_UNAVAILABLE)
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
    def http_error(error: HTTPException) -> Response:
        response = _text(error.description or error.name, HTTPStatus(error.code or 500))
        response.headers.extend(header for header in error.get_headers() if header[0] == "Allow")
        return response


def _answer_health_checks(app: Flask, redis_url: str) -> None:
    connection = Redis.from_url(
        redis_url,
        socket_timeout=_HEALTH_TIMEOUT_SECONDS,
        socket_connect_timeout=_HEALTH_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )

    @app.get("/healthz")
    def healthz() -> tuple[dict[str, str], int]:
        try:
            connection.ping()
        except RedisError:
            return {"status": "redis does not answer"}, HTTPStatus.SERVICE_UNAVAILABLE
        return {"status": "ok"}, HTTPStatus.OK


def _text(line: str, status: HTTPStatus) -> Response:
    return Response(f"{line}\n", status, content_type="text/plain; charset=utf-8")
