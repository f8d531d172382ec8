// Three steps from no agent to one that answers.
import { $, ago, api, el, keepLooking } from "./dash.js";
import { recall, remember } from "./dom.js";
import { askForKey, onNewKey } from "./newkey.js";
import { clients } from "./snippets.js";

const { url } = document.body.dataset;
let fresh = null;
let chosen = recall("localStorage", "client");

function list() {
  return clients(url, fresh?.key);
}

// --- the clients, as tabs ---------------------------------------------------------------------------------

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
  $("client-text").textContent = client.text;
  $("client-code").textContent = client.code ?? "";
  $("client-code").parentElement.hidden = !client.code;
  $("client-note").textContent = client.note ?? "";
  $("client-actions").replaceChildren(
    ...(client.actions ?? []).map(({ label, href }) => el("a", { class: "button", href }, label)),
  );
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

// --- whether it has come ----------------------------------------------------------------------------------

async function look() {
  const { api_keys: keys } = await api("GET", "/api/api-keys");
  const used = keys
    .filter((key) => key.last_used_at && (!fresh || key.id === fresh.id))
    .sort((a, b) => (a.last_used_at < b.last_used_at ? 1 : -1))[0];
  const [dot, words] = $("seen").children;
  dot.className = `dot ${used ? "ok" : ""}`;
  const parts = used
    ? [el("bdi", {}, used.name), ` was used ${ago(used.last_used_at)}`]
    : [fresh ? "Waiting for the first request with your new key" : "No key has been used yet"];
  if (words.textContent !== parts.map((part) => part.textContent ?? part).join("")) words.replaceChildren(...parts);
}

const lookNow = keepLooking(3000, look);
