// The platforms, the agent's connections to them, and trying one.
import { $, api, el, fill, say, trouble } from "./dash.js";

const STATES = { connecting: "connecting", unavailable: "not reachable", auth_needed: "signed out" };

let platforms = [];
let connections = [];
let links = {}; // others that the answer tells, such as discord_invite_url
const tried = new Map(); // what a test of each connection has shown

/** Titles of the platforms by their names. */
export async function readConnections() {
  ({ platforms, connections, ...links } = await api("GET", "/api/platforms"));
  return new Map(platforms.map((one) => [one.platform, one.title]));
}

const titleOf = ({ platform }) => platforms.find((one) => one.platform === platform)?.title ?? platform;
const stop = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

// --- the platforms, and below each the agent's connections ------------------------------------------------

function platformRow({ title, status, well, provider, some }) {
  return el(
    "li",
    {},
    el("span", { class: `dot ${well ? "ok" : ""}`, "aria-hidden": "true" }),
    title,
    el("span", { class: "state" }, status),
    provider && el("button", { type: "button", class: "small", "data-act": "connect", "aria-label": `${some ? "Add another" : "Connect"}: ${title}`, onclick: () => signIn(provider) }, some ? "Add another" : "Connect"),
  );
}

function connectionRow({ id, name, status, words, well }) {
  return el(
    "li",
    { class: "tie" },
    el("span", { class: `dot ${status === "ok" ? "ok" : "warn"}`, "aria-hidden": "true" }),
    el("span", { class: "bot" }, el("bdi", {}, name)),
    el("span", { class: "state" }, STATES[status] ?? ""),
    el("button", { type: "button", class: "small", "data-act": "test", "aria-label": `Test ${name}`, onclick: () => test(id, name) }, "Test"),
    words && el("p", { class: well ? "muted" : "error" }, el("bdi", {}, words)),
  );
}

function inviteRow({ invite }) {
  return el("li", { class: "tie" }, el("a", { href: invite, target: "_blank", rel: "noopener" }, "Add the shared bot to a server"));
}

/** The person goes to the platform, to let the agent in. */
export async function signIn(provider) {
  try {
    const { auth_url: url } = await api("POST", `/api/oauth/start/${provider}`);
    location.assign(url);
  } catch (error) {
    trouble(error.message, 8000);
  }
}

async function test(id, name) {
  tried.set(id, { words: "Asking …", well: true });
  showConnections();
  try {
    const { sent } = await api("POST", `/api/connections/${id}/test`);
    tried.set(id, { words: sent ? "It works. A message is on its way to you." : "It works. Nobody was written to: you do not use this bot, or your agent does not know you as its operator.", well: true });
  } catch (error) {
    tried.set(id, { words: error.message, well: false });
  }
  say(`${name}: ${tried.get(id).words}`);
  showConnections();
}

function rows({ platform, title, status, oauth_provider: provider }) {
  const ties = connections.filter((one) => one.platform === platform && !one.embedded);
  const embedded = connections.some((one) => one.platform === platform && one.embedded);
  const head = { key: platform, title, status: embedded ? "always on" : ties.length ? "" : status === "not_configured" ? "not connected" : status, well: status === "ok", provider, some: ties.length > 0 };
  const invite = links[`${platform}_invite_url`];
  return [head, ...ties.map(({ id, name, status }) => ({ key: id, id, name, status, ...tried.get(id) })), ...(invite ? [{ key: `${platform} invite`, invite }] : [])];
}

export function showConnections() {
  const shown = platforms.filter((one) => one.available).flatMap(rows);
  fill($("platforms"), shown, (one) => one.key, (one) => (one.id ? connectionRow(one) : one.invite ? inviteRow(one) : platformRow(one)));
  const later = platforms.filter((one) => !one.available).map((one) => one.title);
  $("platforms-later").textContent = later.length ? `Not in this version yet: ${later.join(", ")}.` : "";
}
