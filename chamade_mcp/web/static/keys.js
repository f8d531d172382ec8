// The keys: made, listed, revoked.
import { $, ago, api, drop, el, fill, keepLooking, shortDay, when } from "./dash.js";
import { askForKey, onNewKey } from "./newkey.js";
import { pingAgents, verdictLine, verdictOf } from "./ping.js";
import { sure } from "./sure.js";

const WORDS = { read: "read", message: "write", call: "call", manage: "manage" };

const several = () => document.body.dataset.agent !== undefined;

function keyRow(key) {
  const about = [
    several() && `For ${key.agent_name}`,
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
    el("button", { type: "button", class: "small", "data-act": "revoke", "aria-label": `Revoke ${key.name}`, onclick: () => askRevoke(key) }, "Revoke"),
  );
}

// --- revoking ---------------------------------------------------------------------------------------------

function askRevoke({ id, name }) {
  sure(
    ["Revoke ", el("bdi", {}, name)],
    "Whatever uses it is refused from then on. This cannot be undone.",
    "Revoke",
    async () => {
      await drop(`/api/api-keys/${id}`);
      return () => {
        $("keys-title").focus(); // the button that opened the dialog is about to go
        lookNow();
      };
    },
    name,
  );
}

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
  const { api_keys: keys } = await api("GET", "/api/api-keys");
  const shown = keys.map(({ last_used_at: at, ...key }) => ({
    ...key,
    used: at && ago(at),
    verdict: verdictOf(key.id),
    expired: Boolean(key.expires_at) && new Date(key.expires_at) <= new Date(),
  }));
  fill($("keys"), shown, (key) => key.id, keyRow);
  $("keys-empty").hidden = keys.length > 0;
}

const lookNow = keepLooking(10000, look);
pingAgents(lookNow);
