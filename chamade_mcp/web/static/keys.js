// The keys: made, listed, revoked; and the programs that were let in without one.
import { $, ago, api, el, fill, keepLooking, shortDay, when } from "./dash.js";
import { askForKey, onNewKey } from "./newkey.js";
import { pingAgents, verdictLine, verdictOf } from "./ping.js";

const WORDS = { read: "read", message: "write", call: "call", manage: "manage" };

function keyRow(key) {
  const about = [
    key.used ? `Used ${key.used}` : "Never used",
    `made ${when(key.created_at)}`,
    key.expires_at && `${key.expired ? "expired on" : "works until"} ${shortDay(key.expires_at)}`,
  ];
  return el(
    "li",
    { class: "key-row" },
    el(
      "div",
      {},
      el("div", { class: "name" }, el("b", {}, el("bdi", {}, key.name)), el("code", {}, `${key.prefix}…`), key.expired ? el("span", { class: "tag warn" }, "expired") : null),
      el("p", {}, about.filter(Boolean).join(" · ")),
      key.verdict && verdictLine(key.verdict),
    ),
    el("div", { class: "tags" }, ...key.permissions.map((one) => el("span", { class: "tag" }, WORDS[one] ?? one))),
    el("button", { type: "button", class: "small", "data-act": "revoke", "aria-label": `Revoke ${key.name}`, onclick: () => askRevoke(KEY, key.id, key.name) }, "Revoke"),
  );
}

function clientRow(client) {
  const about = [
    client.client_host ? `Known by ${client.client_host}` : "Its name is its own word",
    client.used ? `used ${client.used}` : "never used",
    `let in ${when(client.created_at)}`,
    `until ${shortDay(client.expires_at)} at most`,
  ];
  const name = client.client_name;
  return el(
    "li",
    { class: "key-row" },
    el(
      "div",
      {},
      el("div", { class: "name" }, el("b", {}, el("bdi", {}, name))),
      el("p", {}, about.join(" · ")),
      client.verdict && verdictLine(client.verdict),
    ),
    el("div", { class: "tags" }, ...client.permissions.map((one) => el("span", { class: "tag" }, WORDS[one] ?? one))),
    el("button", { type: "button", class: "small", "data-act": "revoke", "aria-label": `Revoke ${name}`, onclick: () => askRevoke(CLIENT, client.id, name) }, "Revoke"),
  );
}

// --- revoking ---------------------------------------------------------------------------------------------

const KEY = { path: "/api/api-keys", title: "Revoke a key", who: "Whatever uses", then: "This cannot be undone.", focus: "keys-title" };
const CLIENT = { path: "/api/grants", title: "Take access back", who: "The program", then: "It can ask you again.", focus: "clients-title" };
let revoking = null;

function askRevoke(kind, id, name) {
  revoking = { ...kind, id, name };
  $("revoke-title").textContent = kind.title;
  $("revoke-who").textContent = kind.who;
  $("revoke-then").textContent = kind.then;
  $("revoke-what").textContent = name;
  $("revoke-name").value = "";
  $("revoke-error").textContent = "";
  $("revoke-go").disabled = true;
  $("revoke").showModal();
}

const named = () => $("revoke-name").value.trim() === revoking.name.trim();

$("revoke-name").addEventListener("input", () => ($("revoke-go").disabled = !named()));
$("revoke-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!named()) return;
  try {
    await api("DELETE", `${revoking.path}/${revoking.id}`);
  } catch (error) {
    if (error.status !== 404) {
      $("revoke-error").textContent = error.message;
      return;
    }
  }
  $("revoke").close();
  $(revoking.focus).focus(); // the button that opened the dialog is about to go
  lookNow();
});

// --- making -----------------------------------------------------------------------------------------------

function forget() {
  $("fresh-key").value = "";
  $("fresh").hidden = true;
}

onNewKey((key) => {
  $("fresh-title").querySelector("bdi").textContent = key.name;
  $("fresh-key").value = key.key;
  $("fresh").hidden = false;
  $("fresh-title").focus();
  lookNow();
});
$("create").addEventListener("click", () => askForKey());
$("fresh-done").addEventListener("click", () => {
  forget();
  $("create").focus();
});
addEventListener("pagehide", forget);

async function look() {
  const [{ api_keys: keys }, { grants: clients }] = await Promise.all([api("GET", "/api/api-keys"), api("GET", "/api/grants")]);
  const shown = keys.map(({ last_used_at: at, ...key }) => ({
    ...key,
    used: at && ago(at),
    verdict: verdictOf(key.id),
    expired: Boolean(key.expires_at) && new Date(key.expires_at) <= new Date(),
  }));
  fill($("keys"), shown, (key) => key.id, keyRow);
  $("keys-empty").hidden = keys.length > 0;
  const known = clients.map(({ last_used_at: at, ...client }) => ({ ...client, used: at && ago(at), verdict: verdictOf(client.id) }));
  fill($("clients"), known, (client) => client.id, clientRow);
  $("clients-card").hidden = clients.length === 0;
}

const lookNow = keepLooking(10000, look);
pingAgents(lookNow);
