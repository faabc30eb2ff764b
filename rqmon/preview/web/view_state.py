"""One viewer's choices, read from the address bar and written back to it, as in Grafana."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from urllib.parse import quote, urlencode

from rqmon.preview.grafana.model import Dashboard, Link
from rqmon.preview.grafana.timerange import REFRESH_CHOICES, TimeRange, duration_seconds, parse_range


@dataclass(frozen=True)
class ViewState:
    """Both ends of the time range as text, the refresh interval ("" is off), and each variable's values."""

    start: str
    end: str
    refresh: str
    selection: Mapping[str, tuple[str, ...]]

    def range_at(self, now: float, zone: tzinfo | None = None) -> TimeRange:
        """Return the time range at a moment, with days in a zone; the last hour if it is no longer valid."""
        found = parse_range(self.start, self.end, now=now, zone=zone)
        return found or TimeRange("now-1h", "now", now - 3600, now, zone)

    @property
    def refresh_seconds(self) -> float:
        """Seconds between refreshes, 0 when off."""
        return duration_seconds(self.refresh) or 0.0

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return this view as the parameters of an address."""
        pairs = [(f"var-{name}", value) for name, values in self.selection.items() for value in values]
        return [*pairs, ("from", self.start), ("to", self.end), ("refresh", self.refresh)]

    def path(self, uid: str) -> str:
        """Return the address of this view."""
        return address(f"/d/{quote(uid, safe='')}", self.pairs)


def address(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return a path with the parameters of a view, and no others; long values are cut."""
    kept = [
        (key, value[:1000])
        for key, value in pairs
        if key.startswith("var-") or key in ("from", "to", "refresh")
    ]
    return f"{path}?{urlencode(kept[:200])}" if kept else path


def path_between(links: Iterable[Link], target: Dashboard, pairs: Iterable[tuple[str, str]]) -> str:
    """Return a dashboard's address, with those choices that the link to its tags passes on."""
    link = next((link for link in links if set(link.tags) <= set(target.tags)), Link((), False, False))
    taken = [pair for pair in pairs if (link.include_vars if pair[0].startswith("var-") else link.keep_time)]
    return address(f"/d/{quote(target.uid, safe='')}", taken)


def state_from_query(
    dashboard: Dashboard, pairs: Iterable[tuple[str, str]], *, now: float
) -> tuple[ViewState, str]:
    """Return the state in an address, and a notice (or "") about what in it was invalid.

    `selection` has only the variables in the address; others keep the dashboard's own value.
    """
    asked: dict[str, list[str]] = {}
    for key, value in pairs:
        asked.setdefault(key, []).append(value[:1000])
    start, end = _last(asked, "from", dashboard.start), _last(asked, "to", dashboard.end)
    notice = ""
    if parse_range(start, end, now=now) is None:
        notice = (
            "The time range in the address is not valid (1 second to 366 days); the dashboard's own is shown."
        )
        start, end = dashboard.start, dashboard.end
        if parse_range(start, end, now=now) is None:
            start, end = "now-1h", "now"
    refresh = _last(asked, "refresh", dashboard.refresh)
    if refresh not in REFRESH_CHOICES:
        refresh = dashboard.refresh if dashboard.refresh in REFRESH_CHOICES else ""
    names = [variable.name for variable in dashboard.variables if variable.type != "constant"]
    selection = {name: tuple(asked[f"var-{name}"][:100]) for name in names if f"var-{name}" in asked}
    return ViewState(start, end, refresh, selection), notice


def _last(asked: Mapping[str, Sequence[str]], key: str, default: str) -> str:
    return asked[key][-1] if key in asked else default
