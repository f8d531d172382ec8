// One webhook: what was sent to it and what became of that, and its settings.
import { $, api, el, fill, keepLooking, plural, say, shortDay, trouble, when } from "./dash.js";
import { sure } from "./sure.js";
import { askForWebhook, onWebhook, showSecret, stateOf } from "./webhookform.js";
import { nameOf } from "./webhookname.js";

const PAGE = 20;
const STATES = { pending: ["", "On its way"], delivered: ["ok", "Delivered"], failed: ["warn", "Failed"] };
const NONE = { "": "Nothing was sent yet.", pending: "Nothing is on its way.", failed: "Nothing has failed.", delivered: "Nothing was delivered yet." };
const path = `/api/webhooks/${$("webhook").dataset.id}`;
const seconds = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

let webhook = null;
let state = "";
let pages = 1;
const open = new Set(); // deliveries that are looked at: they stay open when they change

// --- the log ----------------------------------------------------------------------------------------------

function attemptRow({ number, started_at: at, duration_ms: ms, status, error, response }) {
  const words = [error ?? `It answered ${status}`, `after ${ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`}`].join(" ");
  return el(
    "li",
    {},
    el("p", {}, el("span", { class: `dot ${error ? "warn" : "ok"}`, "aria-hidden": "true" }), el("time", { datetime: at }, `${shortDay(at)}, ${seconds.format(new Date(at))}`), el("span", {}, `Attempt ${number}: ${words}`)),
    response ? el("pre", { tabindex: "0", "aria-label": `What it answered to attempt ${number}` }, response) : null,
  );
}

function deliveryRow(one) {
  const [tone, words] = STATES[one.state];
  const about = [
    words,
    one.attempts.length > 1 ? plural(one.attempts.length, "attempt") : null,
    one.next_at && one.attempts.length ? `again ${one.next}` : null,
    one.seq && `event ${one.seq}`,
  ];
  const row = el(
    "details",
    { open: open.has(one.id), ontoggle: () => (row.open ? open.add(one.id) : open.delete(one.id)) },
    el(
      "summary",
      { "data-act": "open" },
      el("span", { class: `dot ${tone}`, "aria-hidden": "true" }),
      el("div", {}, el("div", { class: "name" }, el("code", {}, one.type)), el("p", {}, about.filter(Boolean).join(" · "))),
      el("time", { datetime: one.created_at }, when(one.created_at)),
    ),
    el(
      "div",
      { class: "told" },
      el("p", { class: "muted small-print" }, "webhook-id ", el("code", {}, one.id)),
      one.attempts.length ? el("ol", {}, ...one.attempts.map(attemptRow)) : el("p", { class: "muted" }, "It was not tried yet."),
      one.state === "pending" || one.seq === null ? null : el("button", { type: "button", class: "small", "data-act": "again", onclick: () => again(one.id) }, "Send it again"),
    ),
  );
  return el("li", {}, row);
}

/** "in 5 min", "in 2 hours". */
function inWords(iso) {
  const minutes = Math.round((new Date(iso) - Date.now()) / 60000);
  if (minutes < 1) return "in a moment";
  return minutes < 60 ? `in ${minutes} min` : `in ${plural(Math.round(minutes / 60), "hour")}`;
}

async function again(id) {
  try {
    await api("POST", `${path}/deliveries/${id}/replay`);
    say("It is sent again.");
  } catch (error) {
    trouble(error.message, 6000);
  }
  lookNow();
}

async function readLog() {
  const found = [];
  let next = "";
  for (let n = 0; n < pages && next !== null; n += 1) {
    const query = new URLSearchParams({ limit: PAGE, ...(state && { state }), ...(next && { before: next }) });
    const page = await api("GET", `${path}/deliveries?${query}`);
    found.push(...page.deliveries);
    next = page.next ?? null;
  }
  return { found, more: next !== null };
}

for (const tab of document.querySelectorAll("[data-state]")) {
  tab.addEventListener("click", () => {
    state = tab.dataset.state;
    pages = 1;
    for (const one of document.querySelectorAll("[data-state]")) one.setAttribute("aria-pressed", String(one === tab));
    lookNow();
  });
}
$("more").addEventListener("click", () => {
  pages += 1;
  lookNow();
});

// --- the webhook itself -----------------------------------------------------------------------------------

function show() {
  const [tone, words] = stateOf(webhook);
  $("webhook-name").textContent = nameOf(webhook);
  $("webhook-url-line").textContent = webhook.description ? webhook.url : new URL(webhook.url).pathname;
  const [dot, line] = $("webhook-state").children;
  dot.className = `dot ${tone}`;
  line.textContent = words;
  $("pause").textContent = webhook.status === "active" ? "Pause" : "Switch on";
  $("webhook-events").textContent = webhook.events.length ? webhook.events.join(", ") : "all events";
  const until = webhook.old_secret_until;
  $("old-secret").textContent = until && new Date(until) > new Date() ? `Until ${when(until)} the old secret signs, too.` : "";
}

async function change(values) {
  try {
    webhook = await api("PATCH", path, values);
    show();
  } catch (error) {
    trouble(error.message, 6000);
  }
  lookNow();
}

$("pause").addEventListener("click", () => change({ status: webhook.status === "active" ? "paused" : "active" }));
$("edit").addEventListener("click", () => askForWebhook(webhook));
onWebhook("PATCH", path, (changed) => {
  webhook = changed;
  show();
});

$("test").addEventListener("click", async () => {
  const note = $("test-note");
  note.hidden = false;
  note.textContent = "A test is on its way.";
  try {
    const { state: became, attempts } = await api("POST", `${path}/test`);
    const last = attempts.at(-1);
    note.textContent = became === "delivered" ? `It arrived: your server answered ${last.status} after ${last.duration_ms} ms.` : `It did not arrive. ${last?.error ?? ""}.`;
  } catch (error) {
    note.textContent = error.message;
  }
  lookNow();
});

// --- what cannot be undone --------------------------------------------------------------------------------

$("rotate").addEventListener("click", () =>
  sure("Make a new secret", "For 24 hours everything is signed with both, so that your server can change over.", "Make it", async () => {
    webhook = await api("POST", `${path}/secret`);
    show();
    return () => showSecret("The new secret", webhook.secret);
  }),
);
$("remove").addEventListener("click", () =>
  sure(`Remove ${nameOf(webhook)}`, "Nothing more is sent there. What was sent is forgotten. This cannot be undone.", "Remove", async () => {
    await api("DELETE", path);
    return () => location.assign("/dashboard/webhooks");
  }),
);

async function look() {
  const [known, { found, more }] = await Promise.all([api("GET", path), readLog()]);
  webhook = known;
  show();
  fill($("log"), found.map((one) => ({ ...one, next: one.next_at && inWords(one.next_at) })), (one) => one.id, deliveryRow);
  $("log-empty").textContent = NONE[state];
  $("log-empty").hidden = found.length > 0;
  $("more").hidden = !more;
}

const lookNow = keepLooking(4000, look);
