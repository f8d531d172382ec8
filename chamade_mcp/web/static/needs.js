// What needs the owner: all that went wrong, in the words of whoever refused, each with what mends it.
import { $, ago, api, drop, el, fill, say, trouble } from "./dash.js";
import { signIn } from "./platforms.js";

const FEW = 4;
const MORE = 50;
const TAGS = { connection: "Signed out", webhook: "Switched off", message: "Not delivered", call: "Call failed", key: "Key refused", disk: "Running full" };
const stop = (text) => (!text || /[.!?…]$/.test(text) ? text : `${text}.`);

let limit = FEW;
let shown = [];
let next = null;
let known = null;
let titles = new Map();
let looked = () => {};

export async function readNeeds() {
  ({ troubles: shown, next } = await api("GET", `/api/troubles?limit=${limit}`));
}

const link = (words, href, label) => el("a", { class: "button small", href, "data-act": "fix", "aria-label": label }, words);
const button = (words, onclick, label) => el("button", { type: "button", class: "small", "data-act": "fix", "aria-label": label, onclick }, words);

/** What happened, before the other side's own words; and behind them what follows from it. */
function words({ kind, fix, title }) {
  if (kind === "connection") return [`${title} no longer lets it in. `, " What your agent says there waits."];
  if (kind === "webhook") return ["Nothing that happens is posted there. ", ""];
  if (kind === "key") return ["", " Whoever still uses it gets no further, and needs another one."];
  if (kind === "call") return [fix === "ping" ? "They rang your agent. " : "", ""];
  return [title ? `On ${title}. ` : "", ""];
}

function mend({ id, fix, name, platform, oauth_provider: provider }) {
  const whom = name ? `: ${name}` : "";
  if (fix === "sign_in") return button("Sign in again", () => signIn(provider), `Sign in again${whom}`);
  if (fix === "new_credentials") return link("Mend", `/dashboard/platforms/${platform}`, `Mend ${name}`);
  if (fix === "send_again") return button("Try again", () => sendAgain(id), `Send again${whom}`);
  if (fix === "ping") return link("Ping agents", "/dashboard/keys", `Ping agents${whom}`);
  if (fix === "new_key") return link("Make a new key", "/dashboard/keys", `Make a new key${whom}`);
  if (fix === "make_room") return link("See what is kept", "/dashboard/usage");
  return link("Look at it", id.startsWith("call_") ? `/dashboard/calls/${id}` : `/dashboard/webhooks/${id}`, `Look at it${whom}`);
}

function row(one) {
  const { id, kind, fix, name, detail, when, lasting, conversation_id: conversation } = one;
  const [before, after] = words(one);
  const who = el("bdi", {}, name || "Somebody");
  return el(
    "li",
    { class: "need" },
    el(
      "div",
      {},
      el("div", { class: "name" }, el("b", {}, conversation ? el("a", { href: `/dashboard/inbox/${conversation}` }, who) : who), el("span", { class: "tag warn" }, fix === "ping" ? "Missed" : TAGS[kind])),
      el("p", {}, before, el("bdi", {}, stop(detail)), after, when && el("span", { class: "muted" }, ` · ${when}`)),
    ),
    el(
      "div",
      { class: "row-acts" },
      lasting ? null : el("button", { type: "button", class: "quiet small", "data-act": "aside", "aria-label": `Put aside: ${name || TAGS[kind]}`, onclick: () => aside(id) }, "Put aside"),
      mend(one),
    ),
  );
}

/** It is settled; the keyboard's focus goes to what is left. */
function gone(id, words) {
  shown = shown.filter((one) => one.id !== id);
  showNeeds();
  $(shown.length ? "needs-title" : "main").focus();
  say(words);
  looked();
}

async function sendAgain(message) {
  try {
    await api("POST", `/api/messages/${message}/retry`);
    gone(message, "Sent");
  } catch (error) {
    trouble(error.message, 8000);
    looked();
  }
}

async function aside(id) {
  try {
    await drop(`/api/troubles/${id}`);
  } catch (error) {
    return trouble(error.message, 8000);
  }
  gone(id, "Put aside");
}

/** `look()` reads the page anew. */
export function needs(look) {
  looked = look;
  $("needs-more").addEventListener("click", () => {
    limit = MORE;
    look();
  });
}

export function showNeeds(known_ = titles) {
  titles = known_;
  const rows = shown.map((one) => ({ ...one, title: titles.get(one.platform) ?? one.platform, when: one.lasting ? "" : ago(one.at) }));
  fill($("needs-list"), rows, (one) => one.id, row);
  $("needs-card").hidden = !rows.length;
  $("needs-more").hidden = !next;
  const fresh = shown.filter((one) => known && !known.has(one.id));
  known = new Set(shown.map((one) => one.id));
  if (fresh.length) say(`See “Needs you”: ${fresh.map((one) => one.name || TAGS[one.kind]).join(", ")}.`);
}
