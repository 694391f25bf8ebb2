"use strict";
// The values under the pointer, or at the place the arrow keys went to.

/** A row for each name of the first switch, a column for each combination of the others. */
function showTip(u, drawn, tip) {
  const { left, top } = u.cursor;
  if (left === null || left === undefined || left < 0) {
    tip.hidden = true;
    return;
  }
  const at = u.posToVal(left, "x");
  const reach = drawn.chart.categories ? 0.5 : 0.04 * (u.scales.x.max - u.scales.x.min) + 0.5;
  const columns = new Map();
  const rows = new Map();
  const places = new Set();
  drawn.lines.forEach((l, index) => {
    if (!u.series[index + 1].show || !l.x.length) return;
    const i = nearest(l.x, at);
    if (l.y[i] === null || Math.abs(l.x[i] - at) > reach) return;
    const tags = l.line.tags.map((tag, factor) => drawn.chart.factors[factor][tag]);
    const column = tags.slice(1).map(tagName).join(", ");
    const row = rows.get(tags[0]) || new Map();
    const half = l.spread?.[i];
    rows.set(tags[0], row.set(column, plainNumber(l.y[i]) + (half ? ` ± ${plainNumber(half)}` : "")));
    columns.set(column, true);
    if (!l.line.paper) places.add(l.at[i]);
  });
  tip.hidden = rows.size === 0;
  if (tip.hidden) return;
  const names = [...columns.keys()];
  const table = element("table");
  if (names.length > 1 || names[0]) {
    const heads = element("tr", {}, element("th"));
    names.forEach((name) => heads.append(element("th", { scope: "col", class: "num" }, name)));
    table.append(element("thead", {}, heads));
  }
  for (const [tag, values] of rows) {
    const line = element("tr", {}, element("th", { scope: "row" }, swatch(tag), " ", tagName(tag)));
    names.forEach((name) => line.append(element("td", { class: "num" }, values.get(name) ?? "")));
    table.append(line);
  }
  tip.replaceChildren(element("div", { class: "head" }, heading(drawn, at, [...places])), table);
  const room = u.width - tip.offsetWidth;
  const over = u.over.offsetLeft + left;
  tip.style.left = `${Math.max(0, Math.min(room, over + 16 > room ? over - tip.offsetWidth - 16 : over + 16))}px`;
  tip.style.top = `${Math.max(0, Math.min(top, u.height - tip.offsetHeight))}px`;
}

function heading({ chart, asPart }, at, places) {
  if (chart.categories) return chart.categories[Math.round(at)] || "";
  if (chart.x === "layer") return `${text("layer")} ${Math.round(at)}`;
  const one = places.length === 1 ? `${text("iteration")} ${places[0].toLocaleString("en")}` : "";
  return asPart ? [`${plainNumber(Math.round(at * 10) / 10)} %`, one].filter(Boolean).join(", ") : one || plainNumber(Math.round(at));
}

function moveCursor(event, { plot, chart }) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  if (event.key === "Escape") plot.setCursor({ left: -10, top: -10 });
  if (!(event.key in steps)) return;
  event.preventDefault();
  const xs = plot.data[0];
  const stride = Math.max(1, Math.round(xs.length / 60));
  const now = plot.cursor.left >= 0 ? nearest(xs, plot.posToVal(plot.cursor.left, "x")) : -stride;
  const next = Math.max(0, Math.min(xs.length - 1, now + steps[event.key] * stride));
  plot.setCursor({ left: plot.valToPos(xs[next], "x"), top: 20 });
}
