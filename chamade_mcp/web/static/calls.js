// All calls there were, the newest first.
import { $, api, el, fill, keepLooking, plural, readPlatforms, tile, when } from "./dash.js";
import { agentOf, lengthOf, stateOf, toneOf, whoOf } from "./pastcall.js";

const PAGE = 50;

let titles = new Map();
let pages = 1;

function row(call) {
  const title = titles.get(call.platform) ?? call.platform;
  const about = [
    stateOf(call),
    title,
    agentOf(call),
    lengthOf(call),
    call.recordings && "recorded",
    call.messages && plural(call.messages, "message"),
  ];
  return el(
    "li",
    {},
    el(
      "a",
      { href: `/dashboard/calls/${call.call_id}`, "data-act": "open" },
      el("span", { class: "pf", "aria-hidden": "true" }, tile(title)),
      el(
        "div",
        {},
        el("div", { class: "name" }, toneOf(call) === "live" ? el("span", { class: "dot live", "aria-hidden": "true" }) : null, el("b", {}, el("bdi", {}, whoOf(call)))),
        el("p", {}, about.filter(Boolean).join(" · ")),
      ),
      el("time", { datetime: call.created_at }, when(call.created_at)),
    ),
  );
}

$("more").addEventListener("click", () => {
  pages += 1;
  lookNow();
});

async function look() {
  if (!titles.size) ({ titles } = await readPlatforms());
  const found = [];
  let next = "";
  for (let n = 0; n < pages && next !== null; n += 1) {
    const page = await api("GET", `/api/calls/history?${new URLSearchParams({ limit: PAGE, ...(next && { before: next }) })}`);
    found.push(...page.calls);
    next = page.next;
  }
  fill($("past"), found, (call) => call.call_id, row);
  $("past-empty").hidden = found.length > 0;
  $("more").hidden = next === null;
}

const lookNow = keepLooking(5000, look);
