"""Decides which requests are let in: those of programs, and those of pages served here.

Any web page in a browser can send requests to this machine too. It is recognised by headers that no page can
forge:

1. `Host` must be an address or a name that no stranger can have. Otherwise a page that has pointed its own
name to 127.0.0.1 (DNS rebinding) would pass for one of ours, and read every answer. 2. `Sec-Fetch-Site`,
which current browsers send to loopback addresses, must say that the page is ours or that a person typed the
address. Links from other sites may open a page: the linking page does not see it, and a GET changes nothing.
3. `Origin`, which every browser sends with a request that changes something, must match the requested
address.

Programs send neither of the last two, and are let in.
"""

from collections.abc import Mapping

from rqmon.web.hosts import is_accepted


def refusal(method: str, headers: Mapping[str, str], *, names: frozenset[str]) -> str | None:
    """Say why a request is refused; None if it is let in.

    Args:
        method: The request's method.
        headers: Its headers, with case-insensitive names, as in aiohttp.
        names: Further names accepted in `Host`, in lower case.
    """
    host = headers.get("Host", "")
    if not is_accepted(host, names):
        return "Refused: Host is not one of our names: use an address, or add it to RQMON_ALLOWED_HOSTS."
    site = headers.get("Sec-Fetch-Site", "none")
    is_link = (
        method == "GET"
        and headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
    )
    if site not in ("same-origin", "none") and not is_link:
        return "Refused: another site's page made this request."
    origin = headers.get("Origin")
    if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
        return "Refused: Origin and Host differ, so another site's page made this request."
    return None
