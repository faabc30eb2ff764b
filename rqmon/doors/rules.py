"""Which requests are let in: those of programs, and those of the pages that are served here.

A web page in a person's browser can send requests to this machine too. It is known by what no page can forge:

1. `Host` must be an address or a name that no stranger can have. A page that has led its own name to
   127.0.0.1 (DNS rebinding) would pass for one of ours otherwise, and read every answer.
2. `Sec-Fetch-Site`, which current browsers send to loopback addresses, must say that the page is ours or that
   a person typed the address. Links from elsewhere may open a page: their page does not see it, and a GET
   changes nothing.
3. `Origin`, which every browser sends with a request that changes something, must be the address asked for.

A program sends neither of the last two, and is let in.
"""

from collections.abc import Mapping

from rqmon.hosts import is_accepted


def refusal(method: str, headers: Mapping[str, str], *, names: frozenset[str]) -> str | None:
    """Why a request is not let in; None when it is.

    Args:
        method: The request's method.
        headers: Its headers; names in any case, as aiohttp has them.
        names: What `Host` may be besides, in lower case.
    """
    host = headers.get("Host", "")
    if not is_accepted(host, names):
        return "Refused: Host is no name of ours: ask by address, or put it in RQMON_ALLOWED_HOSTS."
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
