// How much was used, by the day, and what there are limits for.
import { $, api, el, fill, keepLooking, plural, readPlatforms } from "./dash.js";
import { recall, remember } from "./dom.js";
import { count, span } from "./figures.js";
import { allowance, share } from "./limits.js";
import { dayName, plot, table } from "./plot.js";
import { showRetention } from "./retention.js";

const PERIODS = [7, 30, 90];

let days = PERIODS.includes(Number(recall("localStorage", "period"))) ? Number(recall("localStorage", "period")) : 30;
let usage = null;
let titles = new Map();

// --- the period -----------------------------------------------------------------------------------------------

function mark() {
  for (const button of $("period").children) button.setAttribute("aria-pressed", String(Number(button.value) === days));
}

$("period").append(
  ...PERIODS.map((one) =>
    el("button", { type: "button", value: one, onclick: () => ((days = one), remember("localStorage", "period", String(one)), mark(), lookNow()) }, `${one} days`),
  ),
);
mark();

// --- in words -------------------------------------------------------------------------------------------------

const messagesIn = (of) => `${count(of.messages_in)} in · ${count(of.messages_out)} out${of.failed ? ` · ${count(of.failed)} not delivered` : ""}`;
const callsOf = (of) => (of.calls ? `${of.calls === 1 ? "1 call" : `${count(of.calls)} calls`}${of.call_s ? `, ${span(of.call_s)}` : ""}` : "no calls");
const answersOf = (of) =>
  of.answers ? `half within ${span(of.answer_p50_s)}, 19 of 20 within ${span(of.answer_p95_s)}` : "no answers";

const onDay = (words) => (n) => `${dayName(usage.days[n].day)}: ${words(usage.days[n])}`;
const inAll = (words) => () => `${plural(days, "day")}: ${words(usage.total)}`;

// --- plots ----------------------------------------------------------------------------------------------------

function shown(id, { name, kind, words, heads, series, row, there }) {
  const figure = $(`plot-${id}`);
  const draw = plot(figure, { name, kind, tell: onDay(words), whole: inAll(words) });
  const list = table(figure, name, ["Day (UTC)", ...heads]);
  return () => {
    const some = usage.days.some(there);
    figure.hidden = !some;
    $(`${id}-none`).hidden = some;
    if (!some) return;
    draw({ days: usage.days.map((one) => one.day), series: series.map(([one, look, value]) => ({ name: one, look, values: usage.days.map(value) })) });
    list(usage.days.filter(there).toReversed().map((one) => [dayName(one.day), ...row(one)]));
  };
}

const figures = [
  shown("messages", {
    name: "Messages",
    kind: "bars",
    words: messagesIn,
    heads: ["In", "Out", "Not delivered"],
    // What was not delivered was to go out.
    series: [
      ["In", "one", (day) => day.messages_in],
      ["Out", "two", (day) => Math.max(0, day.messages_out - day.failed)],
      ["Not delivered", "bad", (day) => day.failed],
    ],
    row: (day) => [count(day.messages_in), count(day.messages_out), count(day.failed)],
    there: (day) => day.messages_in + day.messages_out + day.failed > 0,
  }),
  shown("calls", {
    name: "Calls",
    kind: "bars",
    words: callsOf,
    heads: ["Calls", "Time"],
    series: [["Calls", "one", (day) => day.calls]],
    row: (day) => [count(day.calls), span(day.call_s)],
    there: (day) => day.calls > 0,
  }),
  shown("answers", {
    name: "Time until the agent answers",
    kind: "lines",
    words: answersOf,
    heads: ["Answers", "Half within", "19 of 20 within"],
    series: [
      ["Half within", "one", (day) => day.answer_p50_s],
      ["19 of 20 within", "two", (day) => day.answer_p95_s],
    ],
    row: (day) => [count(day.answers), span(day.answer_p50_s), span(day.answer_p95_s)],
    there: (day) => day.answers > 0,
  }),
];

function platformRow([platform, of, most]) {
  const title = titles.get(platform) ?? platform;
  const messages = of.messages_in + of.messages_out;
  const about = [messages ? messagesIn(of) : "", of.calls ? callsOf(of) : "", of.answers ? `answers: ${answersOf(of)}` : ""];
  return el(
    "li",
    {},
    el("b", {}, title),
    share(messages, most),
    el("p", {}, about.filter(Boolean).join(" · ")),
  );
}

function show() {
  const { total } = usage;
  const nothing = !usage.call_count && !Object.keys(usage.platforms).length && !Object.keys(total.platforms).length;
  $("nothing").hidden = !nothing;
  $("figures").hidden = nothing;
  if (nothing) return;
  for (const draw of figures) draw();
  const each = Object.entries(total.platforms).sort(([, a], [, b]) => b.messages_in + b.messages_out - a.messages_in - a.messages_out);
  const most = Math.max(1, ...each.map(([, of]) => of.messages_in + of.messages_out));
  fill($("by-platform"), each.map((one) => [...one, most]), ([platform]) => platform, platformRow);
  $("by-platform-none").hidden = each.length > 0;
}

// --- limits ---------------------------------------------------------------------------------------------------

function showLimits(limits) {
  const [counted, others] = [limits.filter((one) => one.used !== null), limits.filter((one) => one.used === null)];
  fill($("limits"), counted, (one) => one.name, allowance);
  fill($("rules"), others, (one) => one.name, allowance);
}

let drawn = "";

async function look() {
  if (!titles.size) ({ titles } = await readPlatforms());
  const asked = days;
  const [found, { limits }, retention] = await Promise.all([api("GET", `/api/usage?days=${asked}`), api("GET", "/api/limits"), api("GET", "/api/retention")]);
  if (asked !== days) return;
  // Only what is news is drawn: somebody may be reading a day of it.
  if (JSON.stringify(found) !== drawn) {
    usage = found;
    drawn = JSON.stringify(found);
    show();
  }
  showLimits(limits);
  showRetention(retention);
}

const lookNow = keepLooking(30000, look);
