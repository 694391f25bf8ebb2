"use strict";
// Every chart: uPlot within a figure, with its switches above and its values under the pointer.

const DASH = { dashed: [5, 4], dotted: [1.5, 3] };
const charts = new Map(); // by the figure's id, those drawn so far

/** A colour of the style sheet as the canvas needs it. */
function ink(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function isDark() {
  const told = document.documentElement.dataset.theme;
  return told ? told === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** A line's colour; on a dark page a third of the way to white. */
function hue(colour) {
  if (!colour || colour === "ink") return ink("ink");
  if (!isDark()) return colour;
  const parts = colour.match(/\w\w/g).map((part) => parseInt(part, 16));
  return `rgb(${parts.map((c) => Math.round(c + (255 - c) * 0.34)).join(" ")})`;
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A small picture of how a tag's lines look. */
function swatch(tag) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [k, v] of [["width", 18], ["height", 10], ["viewBox", "0 0 18 10"], ["aria-hidden", "true"]])
    svg.setAttribute(k, v);
  const shape = document.createElementNS(space, tag.mark === "bar" ? "rect" : tag.mark ? "circle" : "path");
  const colour = hue(tag.colour);
  const looks = {
    bar: { x: 4, y: 1, width: 10, height: 8, fill: colour, "fill-opacity": 0.55 },
    ring: { cx: 9, cy: 5, r: 3.5, fill: "none", stroke: colour, "stroke-width": 1.5 },
    dot: { cx: 9, cy: 5, r: 3.5, fill: colour },
    line: {
      d: "M0 5h18", fill: "none", stroke: colour, "stroke-width": tag.pale ? 1.2 : 2.2,
      "stroke-opacity": tag.pale ? 0.55 : 1, "stroke-dasharray": (DASH[tag.dash] || []).join(" "),
    },
  };
  for (const [k, v] of Object.entries(looks[tag.mark || "line"])) shape.setAttribute(k, v);
  svg.append(shape);
  return svg;
}

/** What a reader has switched on a chart; it outlives a redrawing. */
function firstState(chart) {
  const protocols = [...new Set(chart.lines.map((l) => l.protocol).filter(Boolean))];
  protocols.sort((a, b) => (b === "paper") - (a === "paper"));
  return { off: chart.factors.map(() => new Set()), protocols, protocol: protocols[0], log: chart.log };
}

function drawChart(figure) {
  const chart = DATA.charts[figure.id];
  const known = charts.get(figure.id);
  const state = known ? known.state : firstState(chart);
  if (known && known.plot) known.plot.destroy();
  figure.querySelectorAll(".tools, .plot, .empty").forEach((old) => old.remove());
  const drawn = { state, figure, chart, plot: null };
  charts.set(figure.id, drawn);
  figure.append(toolbar(drawn));
  draw(drawn);
}

// --- Switches

function toolbar(drawn) {
  const { chart, state } = drawn;
  const tools = element("div", { class: "tools" });
  chart.factors.forEach((tags, factor) => {
    const group = element("div", { class: "group", role: "group", "aria-label": text("lines") });
    tags.forEach((tag, i) => {
      const button = element("button", { type: "button", "aria-pressed": String(!state.off[factor].has(i)) });
      button.append(swatch(tag), tagName(tag));
      button.addEventListener("click", () => {
        const off = state.off[factor];
        if (!off.delete(i)) off.add(i);
        button.setAttribute("aria-pressed", String(!off.has(i)));
        shownLines(drawn).forEach((on, line) => drawn.plot.setSeries(line + 1, { show: on }));
      });
      group.append(button);
    });
    tools.append(group);
  });
  if (state.protocols.length > 1) tools.append(protocolChoice(drawn));
  if (chart.y === "error" || chart.y === "norm") tools.append(scaleChoice(drawn));
  const out = element("button", { type: "button", class: "zoom-out", hidden: "" }, text("zoom_out"));
  out.addEventListener("click", () => draw(drawn));
  tools.append(out);
  return tools;
}

function protocolChoice(drawn) {
  const select = element("select", { "aria-label": text("protocol") });
  for (const name of drawn.state.protocols) select.append(new Option(name, name, false, name === drawn.state.protocol));
  select.addEventListener("change", () => {
    drawn.state.protocol = select.value;
    draw(drawn);
  });
  return select;
}

function scaleChoice(drawn) {
  const group = element("span", { class: "push scale", role: "group", "aria-label": text("scale") });
  for (const kind of ["linear", "log"]) {
    const on = drawn.state.log === (kind === "log");
    const button = element("button", { type: "button", "data-scale": kind, "aria-pressed": String(on) }, text(kind));
    button.addEventListener("click", () => {
      drawn.state.log = kind === "log";
      for (const b of group.children) b.setAttribute("aria-pressed", String(b === button));
      draw(drawn);
    });
    group.append(button);
  }
  return group;
}

/** The lines of the protocol that is shown, with their points. */
function protocolLines(chart, state) {
  const lines = chart.lines.filter((l) => !l.protocol || l.protocol === state.protocol);
  const all = lines.map((line) => linePoints(chart, line, false));
  const schedules = new Set(all.map((p) => p.schedule).filter(Boolean));
  const asPart = chart.x === "training" && schedules.size > 1;
  return { asPart, lines: lines.map((line) => ({ line, ...linePoints(chart, line, asPart) })) };
}

/** Which lines no switch has turned off. */
function shownLines({ lines, state }) {
  return lines.map(({ line }) => line.tags.every((tag, factor) => !state.off[factor].has(tag)));
}

// --- Drawing

function draw(drawn) {
  const { figure, chart, state } = drawn;
  if (drawn.plot) drawn.plot.destroy();
  figure.querySelectorAll(".plot, .empty").forEach((old) => old.remove());
  Object.assign(drawn, protocolLines(chart, state));
  figure.querySelector(".zoom-out").hidden = true;
  if (!drawn.lines.some((l) => l.y.some((y) => y !== null))) {
    figure.append(element("p", { class: "empty" }, text("no_values")));
    drawn.plot = null;
    return;
  }
  const place = element("div", {
    class: "plot", tabindex: "0", role: "group",
    "aria-label": `${figure.querySelector("figcaption").textContent}. ${text("chart_help")}`,
  });
  const tip = element("div", { class: "tip", role: "status", hidden: "" });
  figure.append(place);
  const shown = shownLines(drawn);
  const values = uPlot.join(
    drawn.lines.map((l) => [l.x, l.y.map((y) => (state.log && !(y > 0) ? null : y))]),
  );
  drawn.plot = new uPlot(
    {
      ...size(place),
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: true, uni: 40 }, points: { show: false } },
      scales: { x: { time: false, range: () => xRange(drawn) }, y: { distr: state.log ? 3 : 1, range: () => yRange(drawn) } },
      axes: axes(drawn),
      series: [{}, ...drawn.lines.map(({ line }, i) => series(chart, line, shown[i]))],
      hooks: {
        draw: [(u) => spreads(u, drawn)],
        setCursor: [(u) => showTip(u, drawn, tip)],
        setSelect: [(u) => { figure.querySelector(".zoom-out").hidden = u.select.width < 1; }],
      },
    },
    values,
    place,
  );
  place.addEventListener("dblclick", () => { figure.querySelector(".zoom-out").hidden = true; });
  place.addEventListener("keydown", (event) => moveCursor(event, drawn));
  place.addEventListener("blur", () => { tip.hidden = true; });
  place.append(tip);
}

let printing = false; // then a sheet of paper decides the width

function size(place) {
  const width = printing ? 620 : Math.max(240, Math.floor(place.clientWidth));
  return { width, height: width < 420 ? 260 : 320 };
}

function series(chart, line, show) {
  const tags = line.tags.map((tag, factor) => chart.factors[factor][tag]);
  const look = Object.assign({}, ...tags);
  const colour = hue((tags.find((tag) => tag.colour) || {}).colour);
  if (look.mark === "bar")
    return { show, stroke: colour, fill: colour, alpha: 0.55, width: 0, paths: uPlot.paths.bars({ size: [0.62, 70] }), points: { show: false } };
  if (look.mark)
    return {
      show, stroke: colour, paths: () => null,
      points: { show: true, size: 9, width: 1.8, stroke: colour, fill: look.mark === "ring" ? ink("raised") : colour },
    };
  return {
    show, stroke: colour, dash: DASH[look.dash], alpha: look.pale ? 0.5 : 1,
    width: look.pale ? 1.2 : look.dash ? 1.5 : 2.2, points: { show: false },
  };
}

function axes({ chart, asPart }) {
  const common = {
    stroke: ink("mute"), font: "11px system-ui, sans-serif", labelFont: "11px system-ui, sans-serif",
    grid: { stroke: ink("line"), width: 1 }, ticks: { stroke: ink("line"), width: 1, size: 4 },
  };
  const words = { training: asPart ? "fraction" : "iterations", layer: "layer", network: "network" };
  const x = { ...common, label: text(words[chart.x] || chart.x), labelSize: 16, size: 28 };
  if (chart.categories) {
    const tight = (u) => u.width / chart.categories.length < 82;
    Object.assign(x, {
      splits: () => chart.categories.map((_, i) => i), values: () => chart.categories,
      rotate: (u) => (tight(u) ? 40 : 0), size: (u) => (tight(u) ? 64 : 28), grid: { show: false },
    });
  } else {
    x.values = (u, ticks) => ticks.map((t) => (t >= 1000 ? `${t / 1000}k` : String(t)));
  }
  const y = { ...common, label: text(chart.y), labelSize: 18, size: 46 };
  y.values = (u, ticks) => ticks.map((t) => (t === null ? null : plainNumber(t)));
  return [x, y];
}

function xRange({ chart, lines }) {
  if (chart.categories) return [-0.6, chart.categories.length - 0.4];
  const all = lines.flatMap((l) => l.x);
  return chart.x === "layer" ? [1, Math.max(...all, 2)] : [0, Math.max(...all, 1)];
}

/** From 0 to what the lines reach after the first tenth; charts of one group share it. */
function yRange(drawn) {
  const group = Object.values(DATA.charts).filter((c) => c.group === drawn.chart.group);
  const others = group.map((c) => (c.id === drawn.chart.id ? drawn.lines : protocolLines(c, { protocol: drawn.state.protocol }).lines));
  const values = others.flat().flatMap((l) => {
    const late = drawn.chart.x === "training" || drawn.chart.x === "iterations" ? 0.1 * l.x[l.x.length - 1] : -1;
    return l.y.map((y, i) => (y === null ? null : y + (l.spread?.[i] || 0))).filter((y, i) => y !== null && l.x[i] >= late);
  });
  if (drawn.state.log) {
    const positive = values.filter((v) => v > 0);
    const [low, high] = positive.length ? [Math.min(...positive), Math.max(...positive)] : [0.1, 1];
    return low < high ? uPlot.rangeLog(low, high, 10, false) : [low / 2, high * 2];
  }
  // Points need no zero, which would make their bars too small to be seen; bars of counts do.
  if (drawn.chart.y === "error" && drawn.chart.categories && values.length) {
    const lows = drawn.lines.flatMap((l) => l.y.map((y, i) => y - (l.spread?.[i] || 0)));
    const [low, high] = [Math.min(...lows), Math.max(...values)];
    const room = 0.08 * (high - low) || 1;
    return [low - room, high + room];
  }
  return [0, values.length ? uPlot.rangeNum(0, Math.max(...values, 1e-9), 0.05, true)[1] : 1];
}

const BAR_EVERY = 28; // CSS pixels from one bar of a curve to the next

/** Standard deviations, published and ours, as bars at their points; of a curve at some. */
function spreads(u, { chart, lines, state }) {
  const context = u.ctx;
  const lowest = state.log ? u.scales.y.min : -Infinity; // a logarithmic axis has no zero
  const cap = (chart.categories ? 6 : 3) * devicePixelRatio; // a point hides what is narrower
  lines.forEach((l, index) => {
    if (!l.spread || !u.series[index + 1].show) return;
    context.save();
    context.strokeStyle = u.series[index + 1].stroke(u, index + 1);
    context.lineWidth = devicePixelRatio * 1.2;
    // Bars of one curve stand between those of the next.
    let next = chart.categories ? -Infinity : u.bbox.left + ((index * 9) % BAR_EVERY) * devicePixelRatio;
    context.beginPath();
    context.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    context.clip();
    l.spread.forEach((half, i) => {
      const x = u.valToPos(l.x[i], "x", true);
      if (!half || x < next) return;
      if (!chart.categories) next = x + BAR_EVERY * devicePixelRatio;
      const ends = [Math.max(lowest, l.y[i] - half), l.y[i] + half].map((y) => u.valToPos(y, "y", true));
      context.beginPath();
      context.moveTo(x, ends[0]);
      context.lineTo(x, ends[1]);
      for (const end of ends) {
        context.moveTo(x - cap, end);
        context.lineTo(x + cap, end);
      }
      context.stroke();
    });
    context.restore();
  });
}

// --- When

/** Charts are drawn when they come near the window, and all of them before printing. */
const watcher = new IntersectionObserver(
  (entries) => entries.filter((e) => e.isIntersecting && !charts.has(e.target.id)).forEach((e) => drawChart(e.target)),
  { rootMargin: "400px" },
);
const resizer = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const drawn = charts.get(target.id);
    const place = target.querySelector(".plot");
    if (drawn?.plot && place?.clientWidth && size(place).width !== drawn.plot.width) drawn.plot.setSize(size(place));
  }
});

function drawAll() {
  document.querySelectorAll("figure.chart").forEach((figure) => drawChart(figure));
}

function redrawCharts() {
  charts.forEach(({ figure }) => drawChart(figure));
}

document.querySelectorAll("figure.chart").forEach((figure) => {
  watcher.observe(figure);
  resizer.observe(figure);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);
