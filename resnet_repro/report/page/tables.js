"use strict";
// Sorting and filtering of the table of all verdicts; rows as cards.

/** On a narrow window a row is a card (page.css), whose cells say what their column's head says. */
function labelCells() {
  document.querySelectorAll("table.stack").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent.trim());
    for (const row of table.tBodies[0].rows)
      [...row.cells].forEach((cell, i) => { cell.dataset.head = heads[i]; });
    table.classList.add("labelled");
  });
}

const LIMIT = 15; // rows shown before a reader asks for all
const verdictTable = document.getElementById("all-verdicts");
const verdictRows = [...verdictTable.tBodies[0].rows];
const order = new Map(verdictRows.map((row, i) => [row, i]));
const filters = { verdicts: new Set(), artifact: "", protocol: "", all: false };

function sortBy(button) {
  const head = button.closest("th");
  const column = head.cellIndex;
  const falling = head.getAttribute("aria-sort") === "ascending";
  verdictTable.querySelectorAll("th").forEach((th) => th.setAttribute("aria-sort", "none"));
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const number = button.dataset.kind === "number";
  const key = (row) => {
    const cell = row.cells[column];
    return number ? parseFloat(cell.dataset.sort ?? "NaN") : cell.textContent.trim();
  };
  const keys = new Map(verdictRows.map((row) => [row, key(row)]));
  const empty = (value) => value === "" || Number.isNaN(value);
  verdictRows.sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    if (empty(x) || empty(y)) return empty(x) - empty(y) || order.get(a) - order.get(b); // last, both ways
    const found = number ? x - y : x.localeCompare(y, language, { numeric: true });
    return (falling ? -found : found) || order.get(a) - order.get(b);
  });
  verdictTable.tBodies[0].append(...verdictRows);
  showRows();
}

function showRows() {
  const wanted = verdictRows.filter(
    (row) =>
      (!filters.verdicts.size || filters.verdicts.has(row.dataset.verdict)) &&
      (!filters.artifact || row.dataset.artifact === filters.artifact) &&
      (!filters.protocol || row.dataset.protocol === filters.protocol),
  );
  const shown = new Set(filters.all ? wanted : wanted.slice(0, LIMIT));
  verdictRows.forEach((row) => { row.hidden = !shown.has(row); });
  const values = { n: shown.size, total: verdictRows.length };
  document.getElementById("filter-count").textContent = text("shown", values);
  document.getElementById("nothing").hidden = wanted.length > 0;
  const more = document.getElementById("show-all");
  more.hidden = wanted.length <= LIMIT;
  more.textContent = filters.all ? text("show_fewer") : text("show_all", { n: wanted.length });
}

document.querySelectorAll("#all-verdicts .sort").forEach((button) => button.addEventListener("click", () => sortBy(button)));
document.querySelectorAll(".chip").forEach((chip) =>
  chip.addEventListener("click", () => {
    const { verdict } = chip.dataset;
    if (!filters.verdicts.delete(verdict)) filters.verdicts.add(verdict);
    chip.setAttribute("aria-pressed", String(filters.verdicts.has(verdict)));
    showRows();
  }),
);
for (const name of ["artifact", "protocol"]) {
  const select = document.getElementById(`filter-${name}`);
  select.addEventListener("change", () => {
    filters[name] = select.value;
    showRows();
  });
}
document.getElementById("filter-reset").addEventListener("click", () => {
  Object.assign(filters, { artifact: "", protocol: "" });
  filters.verdicts.clear();
  document.getElementById("filters").reset();
  document.querySelectorAll(".chip").forEach((chip) => chip.setAttribute("aria-pressed", "false"));
  showRows();
});
document.getElementById("show-all").addEventListener("click", () => {
  filters.all = !filters.all;
  showRows();
});
document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
