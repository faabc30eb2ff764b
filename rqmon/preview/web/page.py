"""The page of one dashboard for one viewer: built once, then updated from Prometheus."""

import asyncio
import time
from collections.abc import Mapping
from datetime import tzinfo
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nicegui import ui

from rqmon.preview.draw.annotations import marks_of
from rqmon.preview.draw.units import ZONE
from rqmon.preview.draw.views import NOW, View, view_or_error
from rqmon.preview.fetch import choices_of, fetch
from rqmon.preview.grafana.model import Dashboard, Section, Variable
from rqmon.preview.grafana.queries import plan, plan_annotation
from rqmon.preview.grafana.timerange import TimeRange, parse_range
from rqmon.preview.grafana.variables import Value, chosen, interpolate, value_of
from rqmon.preview.prometheus import Prometheus, PrometheusUnreachableError, QueryError
from rqmon.preview.web.controls import TimeControls, VariableSelect, title_bar
from rqmon.preview.web.panel_box import PanelBox
from rqmon.preview.web.view_state import ViewState, address, path_between

RETRY_SECONDS = 5.0
_CHEVRON = (
    '<svg class="chevron" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" '
    'aria-hidden="true"><path d="m6 9 6 6 6-6"></path></svg>'
)


class DashboardPage:
    """All that one viewer sees and has chosen; lives as long as the browser tab."""

    def __init__(self, dashboard: Dashboard, *, state: ViewState, prometheus: Prometheus) -> None:
        self._dashboard = dashboard
        self._state = state
        self._prometheus = prometheus
        self._choices: dict[str, list[tuple[str, str]]] = {}
        self._boxes: list[tuple[PanelBox, Section]] = []
        self._closed: set[int] = set()
        self._zone: tzinfo | None = None
        self._due = 0.0
        self._refreshing = False
        self._drawn = False

    def build(self, dashboards: Mapping[str, Dashboard], notice: str) -> None:
        """Lay out the page and request its data; called when a browser is connected, not for each request."""
        with ui.element("header").classes("topbar"), ui.element("div").classes("topbar-row"):
            self._home = title_bar(dashboards, self._dashboard, self._path_to)
            ui.element("div").classes("spacer")
            self._controls = TimeControls(
                on_range=lambda start: self._choose(start=start),
                on_interval=lambda text: self._choose(refresh=text),
                on_refresh=self._ask_again,
            )
        shown = [variable for variable in self._dashboard.variables if not variable.hidden]
        with ui.element("div").classes("variables"):
            self._selects = {
                variable.name: VariableSelect(variable, partial(self._pick, variable)) for variable in shown
            }
        if notice:
            ui.label(notice).classes("banner notice").props("role=status")
        self._banner = ui.label("").classes("banner").props("role=alert")
        self._banner.set_visibility(False)
        with ui.element("main").classes("board") as board:
            board.on("zoom", lambda event: self._zoom(*event.args["detail"]), args=["detail"])
            for section in self._dashboard.sections:
                self._build_section(section)
        self._show_controls()
        ui.timer(0.5, self._tick)

    def _build_section(self, section: Section) -> None:
        top = min((panel.y for panel in section.panels), default=0)
        if section.collapsed:
            self._closed.add(id(section))
        count = len(section.panels)
        if section.title is not None:
            with ui.element("h2").classes("row-title"):
                button = ui.element("button").props(
                    f"type=button aria-expanded={str(not section.collapsed).lower()}"
                )
                with button:
                    ui.html(_CHEVRON)
                    ui.label(section.title)
                    ui.label(f"({count} panel{'' if count == 1 else 's'})").classes(
                        "count"
                    ).bind_visibility_from(
                        button, "props", lambda props: props.get("aria-expanded") == "false"
                    )
        grid = ui.element("div").classes("grid" + (" hidden" if section.collapsed else ""))
        if section.title is not None:
            button.on("click", lambda: self._toggle(section, grid=grid, button=button))
        with grid:
            for panel in section.panels:
                box = PanelBox(panel, top=top)
                box.show_title(panel.title)
                self._boxes.append((box, section))

    def _toggle(self, section: Section, *, grid: ui.element, button: ui.element) -> None:
        opened = id(section) in self._closed
        self._closed ^= {id(section)}
        grid.classes(remove="hidden") if opened else grid.classes(add="hidden")
        button.props["aria-expanded"] = str(opened).lower()
        button.update()
        if opened:
            self._ask_again()

    def _zoom(self, start_ms: float, end_ms: float) -> None:
        """Show the time range that was selected by dragging over a chart."""
        start, end = (str(round(moment)) for moment in (start_ms, end_ms))
        if parse_range(start, end, now=time.time()):
            self._choose(start=start, end=end)

    def _choose(self, *, start: str | None = None, end: str = "now", refresh: str | None = None) -> None:
        old = self._state
        self._state = ViewState(
            start or old.start,
            end if start else old.end,
            old.refresh if refresh is None else refresh,
            old.selection,
        )
        self._changed()

    def _pick(self, variable: Variable, picked: tuple[str, ...]) -> None:
        old = self._state
        selection = {**old.selection, variable.name: picked}
        self._state = ViewState(old.start, old.end, old.refresh, selection)
        self._changed()

    def _changed(self) -> None:
        ui.navigate.history.replace(self._state.path(self._dashboard.uid))
        self._show_controls()
        self._ask_again()

    def _path_to(self, dashboard: Dashboard) -> str:
        return path_between(self._dashboard.links, dashboard, self._state.pairs)

    def _show_controls(self) -> None:
        for link in self._home:
            link.props["href"] = address("/", self._state.pairs)
            link.update()
        label = self._state.range_at(time.time(), self._zone).label
        self._controls.show(range_label=label, start=self._state.start, interval=self._state.refresh)

    def _ask_again(self) -> None:
        self._due = 0.0
        ui.timer(0, self._tick, once=True)

    async def _tick(self) -> None:
        """Refresh when it is time; a refresh requested during another one follows right after it."""
        if self._refreshing or time.monotonic() < self._due:
            return
        self._refreshing = True
        interval = self._state.refresh_seconds
        self._due = time.monotonic() + interval if interval else float("inf")
        try:
            if self._zone is None:
                await self._learn_zone()
            await self._refresh()
            self._banner.set_visibility(False)
        except PrometheusUnreachableError as error:
            old = "Graphs end where it did; the preview" if self._drawn else "The preview"
            self._banner.set_text(f"{error}. {old} tries again by itself.")
            for box in (box for box, _ in self._boxes if box.panel.targets):
                if not self._drawn:
                    box.show(View(message="Waiting for Prometheus"))
                elif box.panel.type in NOW:
                    box.show(View(message="Unknown"))
            self._banner.set_visibility(True)
            self._due = min(self._due, time.monotonic() + RETRY_SECONDS)
        finally:
            self._refreshing = False

    async def _learn_zone(self) -> None:
        """Ask the browser for its time zone: it writes the charts' times, and other times must match."""
        try:
            name = await ui.run_javascript("Intl.DateTimeFormat().resolvedOptions().timeZone", timeout=5)
            self._zone = ZoneInfo(str(name))
        except (TimeoutError, ValueError, OSError, ZoneInfoNotFoundError):
            return  # until the next refresh, this machine's zone is used
        self._show_controls()

    async def _refresh(self) -> None:
        # At each refresh: if Prometheus hangs, the tiles become unknown after this query, not after all.
        scrape_interval_seconds = await self._prometheus.scrape_interval_seconds()
        state = self._state
        time_range = state.range_at(time.time(), self._zone)
        ZONE.set(self._zone)
        values = await self._resolve_variables(time_range)
        planned = []
        for box, section in self._boxes:
            if id(section) in self._closed:
                continue
            title = interpolate(box.panel.title, values, style="text")
            box.show_title(title)
            if box.panel.type == "text":
                box.show_text(interpolate(str(box.panel.options.get("content") or ""), values, style="text"))
            elif not box.panel.targets:
                box.show(View(message="This panel has no query."))
            else:
                queries = plan(box.panel, time_range, values, scrape_interval_seconds=scrape_interval_seconds)
                planned.append((box, queries))
        events = [
            (one, plan_annotation(one, time_range, values, scrape_interval_seconds))
            for one in self._dashboard.annotations
        ]
        asked = [query for _, queries in planned for _, query in queries] + [query for _, query in events]
        unique = list(dict.fromkeys(asked))
        answers = await asyncio.gather(*(fetch(self._prometheus, query) for query in unique))
        found = dict(zip(unique, answers, strict=True))
        marks = [
            mark
            for one, query in events
            if not isinstance(series := found[query], QueryError)
            for mark in marks_of(one, series, step_seconds=query.step_seconds)
        ]
        for box, queries in planned:
            if self._state is not state:
                return  # a newer choice is waiting, and its refresh follows
            results = [(target, query, found[query]) for target, query in queries]
            box.show(view_or_error(box.panel, results, time_range, values, marks))
            await asyncio.sleep(0)  # a panel with many series takes long: let other requests run in between
        self._drawn = True

    async def _resolve_variables(self, time_range: TimeRange) -> dict[str, Value]:
        """Return each variable's value, in order: a query may use an earlier variable."""
        values: dict[str, Value] = {}
        for variable in self._dashboard.variables:
            choices = await choices_of(self._prometheus, variable, values, time_range)
            asked = self._state.selection.get(variable.name)
            selection = chosen(variable, asked, choices)
            values[variable.name] = value_of(variable, selection, choices)
            if variable.name in self._selects:
                self._selects[variable.name].show(choices, selection)
        return values
