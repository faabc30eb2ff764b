// What charts need in the browser: number and time labels, tooltips, bands and legends.
// Text from data passes through escape() before it becomes HTML.
"use strict";

window.rqmon = (() => {
  const escape = (text) =>
    String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

  const autoDecimals = (value) =>
    value === 0 || Number.isInteger(value) ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));

  // `spec` is units.py's Scale.to_json(): {steps: [[at_least, divisor, suffix]], prefix, decimals}.
  const format = (spec, value, { trim = false } = {}) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const steps = spec.steps;
    let step = steps.find((s) => s[1] === 1) ?? steps[0];
    if (value !== 0) step = steps.filter((s) => Math.abs(value) >= s[0]).at(-1) ?? steps[0];
    const scaled = Number((value / step[1]).toPrecision(12));
    const digits = trim || spec.decimals === null ? autoDecimals(scaled) : spec.decimals;
    const text = trim ? String(Number(scaled.toFixed(digits))) : scaled.toFixed(digits);
    return spec.prefix + text + step[2];
  };

  const two = (n) => String(n).padStart(2, "0");
  const clock = (d, seconds) => `${two(d.getHours())}:${two(d.getMinutes())}${seconds ? ":" + two(d.getSeconds()) : ""}`;
  const day = (d) => `${two(d.getMonth() + 1)}/${two(d.getDate())}`;
  const moment = (ms) => {
    const d = new Date(ms);
    return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(d, true)}`;
  };

  const timeLabel = (rangeSeconds) => (ms) => {
    const d = new Date(ms);
    if (rangeSeconds <= 600) return clock(d, true);
    if (rangeSeconds <= 86400) return clock(d);
    return rangeSeconds <= 5 * 86400 ? `${day(d)} ${clock(d)}` : day(d);
  };

  const row = (color, name, value) =>
    `<div class="tip-row"><span class="key" style="background:${escape(color)}"></span>` +
    `<span class="tip-name">${escape(name)}</span><b>${escape(value)}</b></div>`;
  const box = (title, rows) => `<div class="tip"><div class="tip-title">${escape(title)}</div>${rows}</div>`;

  const tooltip = (specs, sort, near) => (items) => {
    // A refresh under the pointer may leave an item without its value.
    const known = items.filter((item) => (item.value?.[1] ?? null) !== null);
    if (!known.length) return "";
    if (sort === "desc") known.sort((a, b) => b.value[1] - a.value[1]);
    if (sort === "asc") known.sort((a, b) => a.value[1] - b.value[1]);
    const rows = known.slice(0, 25).map((i) => row(i.color, i.seriesName, format(specs[i.seriesIndex], i.value[1])));
    const at = known[0].value[0];
    const marks = near.marks.filter((mark) => Math.abs(mark[0] - at) <= near.ms);
    const told = [...new Map(marks.map((mark) => [mark[1], mark])).values()];
    rows.push(...told.map((mark) => row(mark[2], mark[1], clock(new Date(mark[0]), true))));
    return box(moment(at), rows.join(""));
  };

  const bandTooltip = (label) => (item) => {
    const [start, end, , text, color] = item.value;
    const value = label ? `${label}: ${text}` : text;
    return box(`${moment(start)} – ${clock(new Date(end), true)}`, row(color, item.name ?? "", value));
  };

  // Draws [start, end, row, text, colour] cells; `gap` is the share of a row left free, `font` 0 hides the text.
  const rectangle = (gap, font) => (params, api) => {
    const [left, middle] = api.coord([api.value(0), api.value(2)]);
    const right = api.coord([api.value(1), api.value(2)])[0];
    const height = api.size([0, 1])[1] * (1 - gap);
    const area = params.coordSys;
    const x = Math.max(left, area.x);
    const width = Math.min(right, area.x + area.width) - x;
    if (width <= 0) return undefined;
    const text = String(api.value(3));
    const children = [
      {
        type: "rect",
        shape: { x, y: middle - height / 2, width: Math.max(width - (gap < 0.1 ? 1 : 0), 0.5), height },
        style: { fill: api.value(4) },
      },
    ];
    if (font && width > text.length * font * 0.6 + 8 && height > font)
      children.push({
        type: "text",
        silent: true,
        style: { text, x: x + 6, y: middle, fill: "#fff", font: `500 ${font}px Roboto`, verticalAlign: "middle" },
      });
    return { type: "group", children };
  };

  return {
    format,
    timeLabel,
    tooltip,
    bandTooltip,
    rectangle,
    axisLabel: (spec) => (value) => format(spec, value, { trim: true }),
  };
})();

// A data link opens a tab of its own: only here, as NiceGUI's sanitiser takes `target` from HTML.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".panel a[rel=noopener]");
  if (link) link.target = "_blank";
  const inward = event.target.closest?.(".panel a.inward");
  if (inward) inward.search = location.search; // the same range and choices there
});

// A click on a legend's name shows that series alone, a second click all of them again, as in Grafana;
// and what is dragged over in a chart becomes the time range of all.
(() => {
  const alone = new WeakMap();

  const chartOf = (panel) => {
    const element = panel?.querySelector(".nicegui-echart");
    return element && window.getElement?.(element.id.replace(/^c/, ""))?.chart;
  };

  document.addEventListener("pointerdown", (event) => {
    const panel = event.target.closest?.(".panel");
    const chart = chartOf(panel);
    if (!chart || event.button || event.pointerType === "touch") return; // a finger scrolls
    const element = chart.getDom();
    const left = element.getBoundingClientRect().left;
    const start = event.clientX - left;
    if (!element.contains(event.target) || !chart.containPixel({ gridIndex: 0 }, [start, event.offsetY])) return;
    event.preventDefault(); // no text is selected
    const band = element.appendChild(document.createElement("div"));
    band.className = "zoom";
    const ends = (moved) => [start, moved.clientX - left].sort((a, b) => a - b);
    const draw = (moved) => {
      const [from, to] = ends(moved);
      band.style.left = `${from}px`;
      band.style.width = `${to - from}px`;
    };
    const stop = new AbortController();
    const finish = (moved) => {
      stop.abort();
      band.remove();
      const [from, to] = ends(moved);
      if (moved.type !== "pointerup" || to - from < 5) return; // a click
      const detail = [from, to].map((x) => chart.convertFromPixel({ xAxisIndex: 0 }, x));
      panel.dispatchEvent(new CustomEvent("zoom", { bubbles: true, detail }));
    };
    window.addEventListener("pointermove", draw, { signal: stop.signal });
    window.addEventListener("pointerup", finish, { signal: stop.signal });
    window.addEventListener("pointercancel", finish, { signal: stop.signal });
  });

  const apply = (panel) => {
    const chart = chartOf(panel);
    if (!chart) return;
    const series = chart.getOption().series;
    const only = alone.get(panel);
    for (const key of panel.querySelectorAll(".legend-key")) {
      const shown = only === undefined || key.dataset.series === only;
      key.classList.toggle("off", !shown);
      key.setAttribute("aria-pressed", String(only === key.dataset.series));
      const name = series[Number(key.dataset.series)]?.name;
      chart.dispatchAction({ type: shown ? "legendSelect" : "legendUnSelect", name });
    }
  };

  document.addEventListener("click", (event) => {
    const key = event.target.closest?.(".legend-key");
    const panel = key?.closest(".panel");
    if (!panel) return;
    if (alone.get(panel) === key.dataset.series) alone.delete(panel);
    else alone.set(panel, key.dataset.series);
    apply(panel);
    if (!panel.dataset.watched) {
      panel.dataset.watched = "yes"; // a refresh writes the legend anew
      new MutationObserver(() => alone.has(panel) && apply(panel)).observe(panel.querySelector(".legend"), {
        childList: true,
      });
    }
  });
})();
