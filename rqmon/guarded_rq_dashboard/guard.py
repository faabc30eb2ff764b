"""Who may use the dashboard, and which requests may change something.

The rules, in the order in which they are checked:

1. Everything but /healthz, whatever the path and method, needs the user name and password (401). This also
   stops a page whose own name was made to lead to this address (DNS rebinding): a browser sends a password
   only to the name that it was given for. /healthz tells nothing but whether Redis answers. `Host` is not
   compared with anything: the names of a proxy in front are not known here.
2. A route that accepts POST changes state, so it accepts nothing else: a link, an image or a
   browser's prefetch must not requeue jobs (405).
3. A request that changes state must come from the dashboard's own pages (403). A browser sends the
   password that it remembers with every request, even one that a foreign page makes it send, so the
   password proves nothing here. These headers do, in this order:
   - `Sec-Fetch-Site`, which current browsers send and no page can forge, must be `same-origin`. They send
     it only to https and loopback addresses; elsewhere, and in older browsers,
   - `Origin`, or else `Referer`, must name the host and port of the `Host` header. Schemes are not
     compared: a proxy in front may end TLS.
   - Without any of the three the request is from curl, a script or a very old browser. It must then carry
     `X-Requested-With`, with any value. A foreign page can't add a header without asking first (CORS
     preflight), and the dashboard never agrees.
"""

import hmac
from urllib.parse import urlsplit

from werkzeug.datastructures import Authorization, Headers
from werkzeug.exceptions import Forbidden, MethodNotAllowed
from werkzeug.routing import Rule

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_login(given: Authorization | None, *, username: str, password: str) -> bool:
    """Whether these are the user name and password, in a time that does not depend on where they differ."""
    if given is None or given.type != "basic":
        return False
    same_username = hmac.compare_digest((given.username or "").encode(), username.encode())
    same_password = hmac.compare_digest((given.password or "").encode(), password.encode())
    return same_username and same_password


def check_method(method: str, rule: Rule) -> None:
    """Refuse to read from a route that changes state.

    Raises:
        MethodNotAllowed: 405, with the methods that the route does accept.
    """
    accepted = (rule.methods or set()) - {"GET", "HEAD"}
    if method in ("GET", "HEAD") and accepted - SAFE_METHODS:
        raise MethodNotAllowed(valid_methods=sorted(accepted))


def check_origin(headers: Headers, *, host: str) -> None:
    """Refuse a request that changes state and does not come from the dashboard's own pages.

    Args:
        headers: The request's headers.
        host: The host and port that the request was sent to, as in its `Host` header.

    Raises:
        Forbidden: 403, saying why.
    """
    if site := headers.get("Sec-Fetch-Site"):
        if site != "same-origin":
            raise Forbidden("Refused: another site made this request. Use the dashboard's own pages.")
        return
    if source := headers.get("Origin") or headers.get("Referer"):
        if not _names_host(source, host):
            raise Forbidden("Refused: Origin and Host differ. Use the dashboard's own pages.")
        return
    if "X-Requested-With" not in headers:
        raise Forbidden(
            "Refused: nothing says where this request comes from. Scripts add -H 'X-Requested-With: curl'."
        )


def _names_host(source: str, host: str) -> bool:
    # Neither header has a user name before the host, and for browsers a backslash ends the host.
    try:
        return urlsplit(source).netloc.lower() == host.lower()
    except ValueError:
        return False
