"""The application of one door: forwards accepted requests with the login of the server behind it."""

import logging
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from yarl import URL

from rqmon.doors.rules import refusal

_log = logging.getLogger(__name__)
_CONNECT_SECONDS = 5
# Headers of one connection, not of the message (RFC 9110); the sender sets the length again.
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
# Origin is not passed on, nor are CORS headers returned: which pages may ask is decided here.
_DROPPED = _HOP_BY_HOP | {"origin", "authorization", "host"}
_DROPPED_ANSWER = _HOP_BY_HOP | {"access-control-allow-origin", "access-control-allow-credentials"}
_LONGEST_REQUEST_BYTES = 16 * 2**20


def create_app(behind: str, *, authorization: str, names: frozenset[str]) -> web.Application:
    """Return the application in front of one server.

    Args:
        behind: The server's address, without a path.
        authorization: The Authorization header that the server requires.
        names: Names to accept in `Host`, besides those that no stranger can have.
    """
    app = web.Application(client_max_size=_LONGEST_REQUEST_BYTES)
    door = _Door(behind, authorization, names)
    app.cleanup_ctx.append(door.session)
    app.router.add_route("*", "/{path:.*}", door.handle)
    return app


class _Door:
    def __init__(self, behind: str, authorization: str, names: frozenset[str]) -> None:
        self._behind = behind.rstrip("/")
        self._authorization = authorization
        self._names = names
        self._session: aiohttp.ClientSession

    async def session(self, _app: web.Application) -> AsyncIterator[None]:
        # The server behind may need minutes for a query: the client decides how long to wait.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        async with aiohttp.ClientSession(
            timeout=timeout,
            # No limit: each open page of Prometheus 3 keeps a connection for its notifications.
            connector=aiohttp.TCPConnector(limit=0),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        ) as session:
            self._session = session
            yield

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if (why := refusal(request.method, request.headers, names=self._names)) is not None:
            _log.warning("refused", extra={"why": why, "method": request.method})
            return web.Response(status=403, text=f"{why}\n")
        if not request.raw_path.startswith("/"):  # otherwise it could name another server
            return web.Response(status=400, text="The request's target must be a path.\n")
        headers = [(n, v) for n, v in request.headers.items() if n.lower() not in _DROPPED]
        headers.append(("Authorization", self._authorization))
        body = await request.read()
        try:
            answer = await self._session.request(
                request.method,
                URL(f"{self._behind}{request.raw_path}", encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            return web.Response(
                status=502, text=f"The server behind does not answer ({type(error).__name__}).\n"
            )
        async with answer:
            return await _pass_on(request, answer)


async def _pass_on(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    kept = [(n, v) for n, v in answer.headers.items() if n.lower() not in _DROPPED_ANSWER]
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=kept)
    try:
        await response.prepare(request)
        async for part in answer.content.iter_any():
            await response.write(part)
        await response.write_eof()
    except aiohttp.ClientError as error:
        _log.warning("cut_short", extra={"error": str(error)})
        if request.transport is not None:
            request.transport.abort()  # otherwise a part would look like the whole
    return response
