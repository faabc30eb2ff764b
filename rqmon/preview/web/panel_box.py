"""One panel on the page: its heading, and a body that each refresh updates in place."""

from html import escape

from nicegui import ui

from rqmon.preview.draw.views import View
from rqmon.preview.grafana.model import Panel

_INFO = (
    '<svg viewBox="0 0 24 24" fill="currentColor" aria-hidden="true"><path d="M12 2a10 10 0 1 0 0 20 '
    '10 10 0 0 0 0-20Zm0 18a8 8 0 1 1 0-16 8 8 0 0 1 0 16Zm-1-9h2v6h-2v-6Zm0-4h2v2h-2V7Z"></path></svg>'
)


class PanelBox:
    """Builds a panel in the current slot; `top` is the grid row where its section starts."""

    def __init__(self, panel: Panel, *, top: int) -> None:
        self.panel = panel
        self._chart: ui.echart | None = None
        self._text: ui.html | ui.markdown | None = None
        self._title: str | None = None
        place = f"--x: {panel.x + 1}; --w: {panel.w}; --y: {panel.y - top + 1}; --h: {panel.h}"
        classes = "panel" + (" right" if panel.x > 12 else "") + (" clear" if panel.transparent else "")
        self._root = ui.element("section").classes(classes).style(place).props(f"data-type={panel.type}")
        right = (panel.options.get("legend") or {}).get("placement") == "right"
        with self._root:
            self._head = ui.html("")
            self._body = ui.element("div").classes("panel-body" + (" legend-right" if right else ""))
        with self._body:
            self._html = ui.html("").classes("html gone")
            self._message = ui.label("").classes("message gone")
            self._legend = ui.html("").classes("legend gone")
        with self._root:
            self._cut = ui.label("").classes("cut gone")
        if panel.targets:
            self._root.classes("loading")

    def show_title(self, title: str) -> None:
        """Show the heading, with the description behind its icon."""
        if title == self._title:
            return
        self._title = title
        text = self.panel.description
        info = (
            f'<button type="button" class="info" aria-label="Description: {escape(text)}">{_INFO}</button>'
            f'<span class="info-text" aria-hidden="true">{escape(text)}</span>'
        )
        self._head.set_content(
            f'<div class="panel-head"><h3>{escape(title)}</h3>{info if text else ""}</div>'
        )
        self._root.props["aria-label"] = title

    def show_text(self, content: str) -> None:
        """Draw a text panel; its markup is sanitised in the browser."""
        if self._text is None:
            with self._body:
                self._text = ui.html("") if self.panel.options.get("mode") == "html" else ui.markdown("")
            self._text.classes("html prose")
        self._text.set_content(content)

    def show(self, view: View) -> None:
        """Draw the result of a refresh; a chart keeps its instance, so nothing flickers."""
        self._root.classes(remove="loading")
        if view.option is not None:
            if self._chart is None:
                with self._body:
                    self._chart = ui.echart(view.option)
                self._chart.move(self._body, 0)
            else:
                self._chart.options.clear()
                self._chart.options.update(view.option)
                self._chart.update()
        if self._chart is not None:
            _present(self._chart, view.option is not None)
        if view.html:
            self._html.set_content(view.html)
        _present(self._html, bool(view.html))
        self._legend.set_content(view.legend)
        _present(self._legend, bool(view.legend))
        self._cut.set_text(view.cut)
        _present(self._cut, bool(view.cut))
        self._message.set_text(view.message)
        self._message.classes(add="error") if view.is_error else self._message.classes(remove="error")
        _present(self._message, bool(view.message))


def _present(element: ui.element, shown: bool) -> None:
    element.classes(remove="gone") if shown else element.classes(add="gone")
