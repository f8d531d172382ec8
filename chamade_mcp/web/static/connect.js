// Three steps from no agent to one that answers.
import { $, ago, api, el, keepLooking } from "./dash.js";
import { icon, recall, remember } from "./dom.js";
import { askForKey, onNewKey } from "./newkey.js";
import { pingAgents, verdictLine, verdictOf } from "./ping.js";
import { clients, reach } from "./snippets.js";

const { url } = document.body.dataset;
let fresh = null;
let chosen = recall("localStorage", "client");

function list() {
  return clients(url, fresh?.key);
}

const NEAR = {
  here: "This gateway’s address works on the computer that it runs on, and nowhere else: your agent has to run there, too.",
  near: "This gateway’s address works in your own network only.",
};
$("near").textContent = NEAR[reach(url)] ?? "";
$("near").hidden = !$("near").textContent;

// --- the clients, as tabs ---------------------------------------------------------------------------------

function snippet(code, id) {
  const copy = el("button", { type: "button", "data-copy": id }, icon("copy"), el("span", {}, "Copy"));
  return el("div", { class: "snippet" }, el("pre", { id, tabindex: "0" }, code), copy);
}

const named = (step) => step.split("*").map((part, at) => (at % 2 ? el("b", {}, part) : part));

function way({ title, warning, text, steps, code, note, actions = [] }, at) {
  const links = actions.map(({ label, href, download }) => el("a", { class: "button", href, download }, label));
  return el(
    "section",
    { class: "way" },
    title && el("h3", {}, title),
    warning ? el("p", { class: "note warn" }, warning) : null,
    text && el("p", { class: "muted" }, text),
    steps && el("ol", {}, ...steps.map((step) => el("li", {}, ...named(step)))),
    code && snippet(code, `code-${at}`),
    links.length ? el("div", { class: "actions" }, ...links) : null,
    note && el("p", { class: "muted small-print" }, note),
  );
}

function show(id, focus = false) {
  const all = list();
  const client = all.find((one) => one.id === id) ?? all[0];
  chosen = client.id;
  for (const tab of $("clients").children) {
    const on = tab.id === `tab-${chosen}`;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    if (on && focus) tab.focus();
    if (on) $("panel").setAttribute("aria-labelledby", tab.id);
  }
  $("panel").replaceChildren(...client.ways.map(way));
}

function move(step) {
  const all = list();
  const at = all.findIndex((one) => one.id === chosen);
  choose(all[(at + step + all.length) % all.length].id);
}

function choose(id) {
  show(id, true);
  remember("localStorage", "client", id);
}

$("clients").append(
  ...list().map(({ id, title }) =>
    el("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": "panel", onclick: () => choose(id) }, title),
  ),
);
$("clients").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  move(step);
});
show(chosen);

// --- the key ----------------------------------------------------------------------------------------------

onNewKey((key) => {
  fresh = key;
  $("fresh-key").value = key.key;
  $("fresh").hidden = false;
  $("ask-key").hidden = true;
  show(chosen);
  $("fresh-key").focus();
  lookNow();
});
$("create").addEventListener("click", () => askForKey(list().find((one) => one.id === chosen).title));

// --- whether it has come, and whether it answers ----------------------------------------------------------

async function look() {
  const [{ api_keys: keys }, { grants }] = await Promise.all([api("GET", "/api/api-keys"), api("GET", "/api/grants")]);
  const programs = grants.map((grant) => ({ ...grant, name: grant.client_name, program: true }));
  const known = [...keys, ...programs];
  const wanted = (one) => !fresh || one.id === fresh.id || (one.program && one.last_used_at > fresh.created_at);
  const used = known
    .filter((one) => one.last_used_at && wanted(one))
    .sort((a, b) => (a.last_used_at < b.last_used_at ? 1 : -1))[0];
  const [dot, words] = $("seen").children;
  dot.className = `dot ${used ? "ok" : ""}`;
  const parts = used
    ? [el("bdi", {}, used.name), ` was used ${ago(used.last_used_at)}`]
    : [fresh ? "Waiting for the first request with your new key" : "No key has been used yet"];
  if (words.textContent !== parts.map((part) => part.textContent ?? part).join("")) words.replaceChildren(...parts);
  showVerdicts(known);
}

/** One line for each key and program that was asked. */
function showVerdicts(known) {
  const asked = known.filter((one) => verdictOf(one.id));
  const lines = asked.map((one) => {
    const line = verdictLine(verdictOf(one.id));
    line.append(" · ", el("bdi", {}, one.name));
    return el("li", {}, line);
  });
  $("verdicts").replaceChildren(...lines);
}

const lookNow = keepLooking(3000, look);
pingAgents(() => lookNow());
