// Small plots by the day: bars that stand on each other, or lines of times. One day is told in words, by pointer or keys.
import { el } from "./dom.js";
import { briefly, span } from "./figures.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 176;
const TOP = 10;
const BOTTOM = 24;
const LEFT = 52;
const TIMES = [0.1, 1, 10, 60, 600, 3600, 36000, 86400, 604800, 6048000];

const date = new Intl.DateTimeFormat([], { day: "numeric", month: "short", timeZone: "UTC" });
export const dayName = (day) => date.format(new Date(`${day}T00:00:00Z`));

function shape(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// --- scales: what stands at which height ----------------------------------------------------------------------

/** From 0 to a round number that holds `most`. */
function counts(most) {
  const size = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  const top = (size < 10 ? [2, 4, 6, 8, 10] : [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10]).map((step) => step * size).find((step) => step >= most);
  return { ticks: [0, top / 2, top], at: (value) => value / top, words: briefly };
}

/** By orders of magnitude: a second and an hour are both to be seen. */
function times(values) {
  const low = TIMES.findLast((tick) => tick <= Math.min(...values)) ?? TIMES[0];
  const high = TIMES.find((tick) => tick >= Math.max(...values) && tick > low) ?? TIMES.at(-1);
  const ticks = TIMES.filter((tick) => tick >= low && tick <= high);
  const length = Math.log(high / low);
  return { ticks, at: (value) => Math.log(Math.max(value, low) / low) / length, words: span };
}

// --- drawing --------------------------------------------------------------------------------------------------

function grid(svg, scale, width, y) {
  for (const tick of scale.ticks) {
    svg.append(shape("line", { class: "rule", x1: LEFT, x2: width, y1: y(tick), y2: y(tick) }));
    svg.append(shape("text", { x: LEFT - 10, y: y(tick) + 4, "text-anchor": "end" }, scale.words(tick)));
  }
}

function dates(svg, days, x) {
  const shown = days.length <= 7 && x(1) - x(0) > 44 ? days.map((_, n) => n) : [0, Math.floor((days.length - 1) / 2), days.length - 1];
  for (const n of shown) {
    const anchor = shown.length > 3 || (n && n < days.length - 1) ? "middle" : n ? "end" : "start";
    svg.append(shape("text", { x: x(n), y: HEIGHT - 6, "text-anchor": anchor }, dayName(days[n])));
  }
}

function bars(svg, series, x, y, band) {
  const wide = Math.max(1.5, Math.min(28, band * 0.7));
  series[0].values.forEach((_, n) => {
    let below = 0;
    for (const { look, values } of series) {
      if (!values[n]) continue;
      const top = y(below + values[n]);
      // What is there is to be seen, however little it is beside the rest.
      const height = Math.max(1.5, y(below) - top);
      svg.append(shape("rect", { class: look, x: x(n) - wide / 2, y: y(below) - height, width: wide, height }));
      below += values[n];
    }
  });
}

function lines(svg, series, x, y) {
  for (const { look, values } of series) {
    const known = values.map((value, n) => [n, value]).filter(([, value]) => value !== null);
    const points = known.map(([n, value]) => `${x(n)},${y(value)}`).join(" ");
    svg.append(shape("polyline", { class: `line ${look}`, points }));
    if (known.length <= 31) for (const [n, value] of known) svg.append(shape("circle", { class: look, cx: x(n), cy: y(value), r: 2.5 }));
  }
}

/**
 * A figure that shows `{ days, series: [{ name, look, values }] }` each time it is given some. `kind` is "bars" or
 * "lines" (of seconds, null where there is none), `tell(n)` says a day in words, `whole()` all of them.
 */
export function plot(figure, { name, kind, tell, whole }) {
  const svg = shape("svg", { height: HEIGHT, "aria-hidden": "true", class: "drawing" });
  const pick = el("input", { type: "range", min: 0, value: 0, "aria-label": `${name}, by the day` });
  const said = el("output", { class: "told" });
  const field = el("div", { class: "field-of-plot" }, pick);
  field.prepend(svg);
  const legend = el("ul", { class: "legend" });
  figure.append(el("div", { class: "plot-head" }, said, legend), field);
  let shown = null;
  let chosen = -1;

  function say() {
    said.textContent = chosen < 0 ? whole() : tell(chosen);
    pick.setAttribute("aria-valuetext", tell(chosen < 0 ? shown.days.length - 1 : chosen));
    const mark = svg.querySelector(".chosen");
    mark.setAttribute("visibility", chosen < 0 ? "hidden" : "visible");
    if (chosen >= 0) for (const end of ["x1", "x2"]) mark.setAttribute(end, field.xOf(chosen));
  }

  function draw() {
    const { days, series } = shown;
    const width = Math.max(200, field.clientWidth);
    const band = (width - LEFT) / days.length;
    const x = (n) => LEFT + band * (n + 0.5);
    const sums = days.map((_, n) => series.reduce((sum, { values }) => sum + values[n], 0));
    const scale = kind === "bars" ? counts(Math.max(...sums)) : times(series.flatMap(({ values }) => values.filter((value) => value !== null)));
    const y = (value) => HEIGHT - BOTTOM - scale.at(value) * (HEIGHT - BOTTOM - TOP);
    svg.setAttribute("width", width);
    svg.replaceChildren(shape("line", { class: "chosen", x1: 0, x2: 0, y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" }));
    grid(svg, scale, width, y);
    (kind === "bars" ? bars : lines)(svg, series, x, y, band);
    dates(svg, days, x);
    field.xOf = x;
    // The control lies over the drawing: its ends are the middles of the first day and of the last.
    pick.style.left = `${x(0)}px`;
    pick.style.width = `${Math.max(1, x(days.length - 1) - x(0))}px`;
    say();
  }

  function choose(n) {
    chosen = n;
    say();
  }

  pick.addEventListener("input", () => choose(Number(pick.value)));
  pick.addEventListener("focus", () => choose(Number(pick.value)));
  pick.addEventListener("blur", () => choose(-1));
  field.addEventListener("pointermove", ({ clientX }) => {
    const { left, width } = pick.getBoundingClientRect();
    const last = shown.days.length - 1;
    choose(Math.max(0, Math.min(last, Math.round(((clientX - left) / width) * last))));
    pick.value = chosen;
  });
  field.addEventListener("pointerleave", () => document.activeElement === pick || choose(-1));
  new ResizeObserver(() => shown && draw()).observe(field);

  return (given) => {
    shown = given;
    chosen = -1;
    pick.max = given.days.length - 1;
    pick.value = pick.max;
    legend.replaceChildren(...given.series.map(({ name: one, look }) => el("li", {}, el("i", { class: look, "aria-hidden": "true" }), one)));
    draw();
  };
}

/** The numbers behind a plot: `heads`, and `rows` of as many texts. */
export function table(figure, name, heads) {
  const body = el("tbody");
  const head = el("thead", {}, el("tr", {}, ...heads.map((one) => el("th", { scope: "col" }, one))));
  const all = el("table", {}, el("caption", { class: "sr-only" }, name), head, body);
  figure.append(el("details", { class: "behind" }, el("summary", {}, "As a table"), el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": name }, all)));
  return (rows) => {
    const lines = rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, first), ...rest.map((one) => el("td", {}, one))));
    body.replaceChildren(...(lines.length ? lines : [el("tr", {}, el("td", { colspan: heads.length }, "Nothing"))]));
  };
}
