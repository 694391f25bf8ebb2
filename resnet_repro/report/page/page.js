"use strict";
// The page as a whole: language, light and dark, links into closed parts, printing.

/** What the reader chose last time; a page opened from a file may not be allowed to remember. */
const memory = {
  get(key) { try { return localStorage.getItem(`resnet-repro-${key}`); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(`resnet-repro-${key}`, value); } catch { /* goes without */ } },
};

// --- Language

function setLanguage(wanted) {
  language = wanted;
  const chinese = wanted === "zh";
  document.documentElement.lang = chinese ? "zh-CN" : "en";
  document.title = text("title");
  for (const part of document.querySelectorAll("[data-zh]")) {
    part.dataset.en ??= part.textContent;
    part.textContent = chinese ? part.dataset.zh : part.dataset.en;
  }
  for (const part of document.querySelectorAll("[data-zh-label]")) {
    part.dataset.enLabel ??= part.getAttribute("aria-label");
    part.setAttribute("aria-label", chinese ? part.dataset.zhLabel : part.dataset.enLabel);
  }
  showRows();
  labelCells();
  nameThemeButton();
  document.querySelectorAll("details.rows[data-filled]").forEach(fillRows);
  redrawCharts();
}

document.getElementById("language").addEventListener("click", () => {
  setLanguage(language === "zh" ? "en" : "zh");
  memory.set("language", language);
});

// --- Light and dark

const themeButton = document.getElementById("theme");

/** The button says what it does, which is the other theme than the one that is shown. */
function nameThemeButton() {
  const [name, label] = isDark() ? ["light", "to_light"] : ["dark", "to_dark"];
  themeButton.textContent = text(name);
  themeButton.setAttribute("aria-label", text(label));
  themeButton.hidden = false;
}

function setTheme(wanted) {
  document.documentElement.dataset.theme = wanted;
  nameThemeButton();
  redrawCharts();
}

themeButton.addEventListener("click", () => {
  setTheme(isDark() ? "light" : "dark");
  memory.set("theme", document.documentElement.dataset.theme);
});

// --- Every row of a run

function fillRows(details) {
  const run = DATA.runs[details.dataset.run];
  const columns = Object.keys(run.metrics);
  const head = element("tr");
  columns.forEach((name) => head.append(element("th", { scope: "col", class: "num" }, name)));
  const body = element("tbody");
  (run.metrics.iteration || []).forEach((iteration, i) => {
    const id = `${run.id}-row-${iteration}`;
    const row = element("tr", { id });
    columns.forEach((name) => {
      const value = run.metrics[name][i];
      const shown = name === "iteration" ? value.toLocaleString("en") : plainNumber(value);
      const cell = name === "iteration" ? element("a", { class: "self", href: `#${id}` }, shown) : shown;
      row.append(element("td", { class: "num" }, cell));
    });
    body.append(row);
  });
  details.querySelector(".wide").replaceChildren(element("table", {}, element("thead", {}, head), body));
  details.dataset.filled = "yes";
}

document.querySelectorAll("details.rows").forEach((details) =>
  details.addEventListener("toggle", () => {
    if (details.open && !details.dataset.filled) fillRows(details);
  }),
);

// --- Links into parts that are closed

function follow() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (!id) return;
  const row = id.match(/^(run-.+)-row-\d+$/);
  if (row && !document.getElementById(id)) {
    const details = document.getElementById(row[1])?.querySelector("details.rows");
    if (details) fillRows(details);
  }
  const target = document.getElementById(id);
  if (!target) return;
  for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  target.scrollIntoView();
}

addEventListener("hashchange", follow);

function openRuns(open) {
  document.querySelectorAll("details.run").forEach((details) => { details.open = open; });
}

document.getElementById("open-all").addEventListener("click", () => openRuns(true));
document.getElementById("close-all").addEventListener("click", () => openRuns(false));

// --- Printing: everything open, everything drawn, on white

let before = null;

function expand() {
  if (before) return;
  const closed = [...document.querySelectorAll("details:not([open])")];
  before = { closed, theme: document.documentElement.dataset.theme, all: filters.all };
  closed.forEach((details) => { details.open = true; });
  document.querySelectorAll("details.rows:not([data-filled])").forEach(fillRows);
  document.documentElement.dataset.theme = "light";
  printing = true;
  filters.all = true;
  showRows();
  drawAll();
}

function restore() {
  if (!before) return;
  before.closed.forEach((details) => { details.open = false; });
  if (before.theme) document.documentElement.dataset.theme = before.theme;
  else delete document.documentElement.dataset.theme;
  filters.all = before.all;
  printing = false;
  before = null;
  showRows();
  redrawCharts();
}

addEventListener("beforeprint", expand);
addEventListener("afterprint", restore);
matchMedia("print").addEventListener("change", (event) => (event.matches ? expand() : restore()));

// --- Begin

nameThemeButton();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameThemeButton);
labelCells();
if (memory.get("theme")) setTheme(memory.get("theme") === "dark" ? "dark" : "light");
const asked = new URLSearchParams(location.search).get("lang") || memory.get("language") || navigator.language;
if (asked.startsWith("zh")) setLanguage("zh");
else showRows();
follow();
