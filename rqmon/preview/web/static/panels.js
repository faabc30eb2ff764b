// What a person does with one panel: sorting its table or its legend.
"use strict";

// The first click on a heading sorts by it (numbers from the largest, texts from A), the second the other way
// round, the third as the dashboard says.
(() => {
  const chosen = new WeakMap(); // panel -> {name, descending}
  const toldBy = new WeakMap(); // table -> its rows and sort as the dashboard says

  const valueIn = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    return cell.classList.contains("num") ? null : cell.textContent || null;
  };

  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  };

  const apply = (panel) => {
    const table = panel.querySelector(".grid-table, .legend-table");
    if (!table) return;
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    if (!toldBy.has(table))
      toldBy.set(table, { rows: [...body.rows], sorts: heads.map((head) => head.getAttribute("aria-sort")) });
    const told = toldBy.get(table);
    const sort = chosen.get(panel);
    const column = heads.findIndex((head) => head.textContent === sort?.name);
    let rows = told.rows;
    if (column >= 0) {
      const unknown = rows.filter((row) => valueIn(row, column) === null);
      const known = rows.filter((row) => valueIn(row, column) !== null);
      const sign = sort.descending ? -1 : 1;
      known.sort((a, b) => sign * compare(valueIn(a, column), valueIn(b, column)));
      rows = [...known, ...unknown];
    }
    body.append(...rows);
    heads.forEach((head, place) => {
      const own = column === place ? (sort.descending ? "descending" : "ascending") : null;
      const state = column >= 0 ? own : told.sorts[place];
      if (state) head.setAttribute("aria-sort", state);
      else head.removeAttribute("aria-sort");
    });
  };

  document.addEventListener("click", (event) => {
    const head = event.target.closest?.(".sort")?.closest("th");
    const panel = head?.closest(".panel");
    if (!panel) return;
    const name = head.textContent;
    const first = head.classList.contains("num");
    const sort = chosen.get(panel);
    if (sort?.name !== name) chosen.set(panel, { name, descending: first });
    else if (sort.descending === first) chosen.set(panel, { name, descending: !first });
    else chosen.delete(panel);
    apply(panel);
    if (panel.dataset.sorted) return;
    panel.dataset.sorted = "yes";
    const written = new MutationObserver(() => chosen.has(panel) && apply(panel)); // by a refresh
    for (const part of panel.querySelectorAll(".html, .legend")) written.observe(part, { childList: true });
  });
})();
