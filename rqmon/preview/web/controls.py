"""The top of the page: title and menu, template variables, time range and refresh."""

from collections.abc import Callable, Mapping, Sequence

from nicegui import ui

from rqmon.preview.grafana.model import ALL, Dashboard, Variable
from rqmon.preview.grafana.timerange import QUICK_RANGES, REFRESH_CHOICES

NOTE = "Preview of the Grafana dashboards; read-only"


def title_bar(
    dashboards: Mapping[str, Dashboard],
    current: Dashboard | None,
    path_to: Callable[[Dashboard], str],
) -> list[ui.link]:
    """Build the logo, breadcrumbs and, with several dashboards, a menu of them, in the current slot.

    Returns:
        The links to the list of dashboards.
    """
    with ui.element("nav").classes("crumbs").props('aria-label="Dashboards"'):
        home = [ui.link(target="/").props('aria-label="All dashboards"')]
        with home[0]:
            ui.html('<img class="logo" src="/assets/favicon.svg" alt="">')
        if current is None:
            ui.html("Dashboards", tag="h1")
        else:
            home.append(ui.link("Dashboards", "/"))
            ui.label("/").classes("sep").props("aria-hidden=true")
            with ui.element("h1"):
                ui.label(current.title)
        if current is not None and len(dashboards) > 1:
            with (
                ui.button(icon="expand_more", color=None)
                .props('flat dense aria-label="Choose a dashboard"')
                .classes("dash-menu"),
                ui.menu(),
            ):
                for dashboard in dashboards.values():
                    ui.menu_item(
                        dashboard.title, on_click=lambda d=dashboard: ui.navigate.to(path_to(d))
                    ).classes("current" if dashboard is current else "")
    ui.label(NOTE).classes("note")
    return home


class TimeControls:
    """The time range and refresh pickers; each choice calls back with the new text."""

    def __init__(
        self,
        *,
        on_range: Callable[[str], None],
        on_interval: Callable[[str], None],
        on_refresh: Callable[[], None],
    ) -> None:
        with ui.element("div").classes("controls"):
            self._range = (
                ui.button(icon="schedule", color=None).classes("tool").props("flat icon-right=expand_more")
            )
            with self._range, ui.menu():
                self._ranges = {
                    start: ui.menu_item(label, on_click=lambda s=start: on_range(s))
                    for start, label in QUICK_RANGES
                }
            with ui.element("div").classes("joined"):
                button = ui.button(icon="refresh", color=None, on_click=on_refresh).classes("tool")
                button.props('flat aria-label="Refresh now"')
                self._interval = ui.button(color=None).classes("tool").props("flat icon-right=expand_more")
                with self._interval, ui.menu():
                    self._intervals = {
                        text: ui.menu_item(text or "Off", on_click=lambda t=text: on_interval(t))
                        for text in REFRESH_CHOICES
                    }

    def show(self, *, range_label: str, start: str, interval: str) -> None:
        """Show the current choice on the buttons and in the menus."""
        self._range.set_text(range_label)
        self._range.props["aria-label"] = f"Time range: {range_label}"
        self._interval.set_text(interval or "Off")
        self._interval.props["aria-label"] = f"Refresh every: {interval or 'off'}"
        for items, current in ((self._ranges, start), (self._intervals, interval)):
            for key, item in items.items():
                item.classes(add="current") if key == current else item.classes(remove="current")
        self._range.update()
        self._interval.update()


class VariableSelect:
    """One variable's label and field."""

    def __init__(self, variable: Variable, on_change: Callable[[tuple[str, ...]], None]) -> None:
        self._variable = variable
        self._on_change = on_change
        self._shown: tuple[str, ...] = ()
        with ui.element("div").classes("variable"):
            ui.label(variable.label).classes("var-label").props("aria-hidden=true")
            if variable.type == "textbox":
                self._field: ui.input | ui.select = ui.input()
                self._field.on("change", lambda: self._changed(self._field.value))
                self._field.props("dense borderless")
            else:
                self._field = ui.select(
                    {}, multiple=variable.multi, on_change=lambda e: self._changed(e.value)
                )
                self._field.props("dense borderless options-dense dropdown-icon=expand_more")
        self._field.props["aria-label"] = variable.label

    def show(self, choices: Sequence[tuple[str, str]], selection: tuple[str, ...]) -> None:
        """Show the choices and the selection; does not call back."""
        self._shown = selection
        if isinstance(self._field, ui.input):
            self._field.set_value(selection[0] if selection else "")
            return
        options = {ALL: "All"} if self._variable.include_all else {}
        options |= {value: text for text, value in choices}
        options |= {value: value for value in selection if value not in options}
        value = list(selection) if self._variable.multi else (selection[0] if selection else None)
        text = " + ".join(options[v] for v in selection) or "None"
        if (options, text) != (self._field.options, self._field.props.get("display-value")):
            self._field.props["display-value"] = text
            self._field.set_options(options, value=value)

    def _changed(self, value: object) -> None:
        picked = tuple(str(v) for v in value) if isinstance(value, list) else (str(value),) if value else ()
        if picked == self._shown:
            return
        if self._variable.include_all and len(picked) != 1:
            all_is_new = ALL in picked and ALL not in self._shown
            picked = (ALL,) if all_is_new or not picked else tuple(v for v in picked if v != ALL)
        self._on_change(picked)
