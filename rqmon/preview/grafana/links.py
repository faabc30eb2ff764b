"""Data links: from a number, a series or a table cell to a page about it."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from rqmon.preview.grafana.model import Json
from rqmon.preview.grafana.variables import Value, interpolate

_LABEL = re.compile(r"\$\{(?:__data\.fields|__field\.labels)\.(\w+)(:percentencode)?\}")

_DASHBOARD = re.compile(r"/d/[\w-]+(?=\?|$)")


def link_html(
    links: Sequence[Json],
    labels: Mapping[str, object],
    values: Mapping[str, Value],
    *,
    html: str,
    name: str = "",
) -> str:
    """Wrap HTML in the first data link, in a new tab if it leads outside; empty if it leads nowhere.

    `name` is for screen readers, if the HTML has no text.
    """
    if not links:
        return ""
    url = _url(str(links[0].get("url") or ""), labels, values)
    title = str(links[0].get("title") or "Open")
    if dashboard := _DASHBOARD.match(url):
        # preview.js adds the page's own range and choices.
        return f'<a class="inward" href="{escape(dashboard.group())}" title="{escape(title)}">{html}</a>'
    # Variables come from the page's address, which must not bring in a javascript: URL.
    if not url.startswith(("http://", "https://")):
        return ""
    label = f' aria-label="{escape(f"{title}: {name}")}"' if name else ""
    # preview.js adds target=_blank, since NiceGUI's sanitiser removes it.
    return f'<a href="{escape(url)}" rel="noopener" title="{escape(title)}"{label}>{html}</a>'


def _url(template: str, labels: Mapping[str, object], values: Mapping[str, Value]) -> str:
    def label(match: re.Match[str]) -> str:
        text = str(labels.get(match.group(1), ""))
        return quote(text, safe="") if match.group(2) else text

    # Labels come last: a `$name` in a label is not a variable.
    return _LABEL.sub(label, interpolate(template, values, style="raw"))
