"use strict";
// The numbers of the page, its words, and the points of a chart's lines.

const DATA = JSON.parse(document.getElementById("data").textContent);
let language = "en";

/** The page's own text of that key, its braces filled in. */
function text(key, values = {}) {
  const words = DATA.texts[key][language === "zh" ? 1 : 0];
  return words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** A tag's name: a text of the page's own, a network or a protocol, or both. */
function tagName(tag) {
  const parts = [];
  if (tag.key) parts.push(text(tag.key));
  if (tag.name) parts.push(tag.name);
  return parts.join(", ");
}

/** A number as a reader wants it: four significant digits, no tail of zeros behind the point. */
function plainNumber(value) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(2);
  return Number(value.toPrecision(Math.abs(value) < 1000 ? 4 : 6)).toLocaleString("en");
}

/** A line's points: x, y, and `at`, which iteration or layer each is. Unfinished ones are null. */
function linePoints(chart, line, asPart) {
  const found = line.points ? tablePoints(line) : line.paper ? paperPoints(line) : runPoints(line);
  const x = found.at.map((at) => (asPart && found.schedule ? (100 * at) / found.schedule : at));
  return { ...found, x };
}

function tablePoints(line) {
  return {
    at: line.points.map((p) => p[0]),
    y: line.points.map((p) => p[1]),
    spread: line.points.map((p) => p[2]),
    schedule: 0,
  };
}

function paperPoints(line) {
  const curve = DATA.paper[line.paper];
  return { at: curve.x, y: curve.y, schedule: curve.schedule };
}

/** The mean over a line's runs, where all of them have a value, and their standard deviation. */
function runPoints(line) {
  const [table, column] = line.of.split(".");
  const runs = line.runs.map((i) => DATA.runs[i]);
  const key = table === "layers" ? "layer" : "iteration";
  const values = new Map();
  for (const run of runs) {
    (run[table][key] || []).forEach((at, i) => {
      if (!values.has(at)) values.set(at, []);
      values.get(at).push((run[table][column] || [])[i] ?? null);
    });
  }
  const at = [...values.keys()].sort((a, b) => a - b);
  const y = at.map((i) => mean(values.get(i), runs.length, line.mean === "log"));
  const spread = runs.length > 1 && !line.mean && !line.sorted ? at.map((i, k) => deviation(values.get(i), y[k])) : null;
  if (line.sorted) y.sort((a, b) => b - a);
  return { at, y, spread, schedule: table === "layers" ? 0 : runs[0].schedule };
}

function mean(values, wanted, byLog) {
  if (values.length < wanted || values.some((v) => v === null || (byLog && v <= 0))) return null;
  const sum = values.reduce((total, v) => total + (byLog ? Math.log(v) : v), 0);
  return byLog ? Math.exp(sum / values.length) : sum / values.length;
}

/** The standard deviation of values about their mean; null where there is none. */
function deviation(values, center) {
  if (center === null) return null;
  return Math.sqrt(values.reduce((total, v) => total + (v - center) ** 2, 0) / (values.length - 1));
}

/** The place in sorted numbers that is nearest to one. */
function nearest(sorted, wanted) {
  let low = 0;
  let high = sorted.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < wanted) low = middle;
    else high = middle;
  }
  return Math.abs(sorted[low] - wanted) <= Math.abs(sorted[high] - wanted) ? low : high;
}
