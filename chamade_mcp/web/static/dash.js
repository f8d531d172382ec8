// What the pages of the dashboard share: the REST API, polling, lists that change in place, copying, dialogs.
import { $, el, icon } from "./dom.js";
import { askPerson, hasTyped, leave } from "./person.js";
import { plain } from "./plain.js";

/** The API said no, or nothing. `message` is a sentence for the person; `fields` is empty or names what is wrong. */
export class Refused extends Error {
  constructor(status, problem = {}) {
    super(problem.detail ? `${problem.detail.replace(/\.$/, "")}.` : "The gateway does not answer.");
    this.status = status;
    this.code = problem.code;
    this.fields = problem.errors ?? [];
  }
}

/** What the API answers. The person is asked in between where they have to show who they are. */
export async function api(method, path, body, headers = {}) {
  const asked = { method, headers: { accept: "application/json", ...headers } };
  const { agent } = document.body.dataset;
  if (agent) asked.headers["x-chamade-agent"] = agent; // another tab may have chosen another one
  if (body !== undefined) {
    asked.headers["content-type"] = "application/json";
    asked.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, asked);
  } catch {
    throw new Refused(0);
  }
  if (answer.status === 401) {
    if (hasTyped() && (await askPerson("again"))) return api(method, path, body, headers);
    leave();
    return new Promise(() => {}); // the page is on its way out
  }
  const json = await answer.json().catch(() => ({}));
  if (json.code === "CONFIRMATION_REQUIRED") {
    if (await askPerson("confirm")) return api(method, path, body, headers);
    throw new Refused(403, { detail: "Nothing was done" });
  }
  if (json.code === "OTHER_AGENT_CHOSEN") {
    trouble("Another agent is shown in this browser now. What you have typed stays here until you reload.");
    return new Promise(() => {}); // what the page shows is not that agent's
  }
  if (!answer.ok) throw new Refused(answer.status, json);
  return json;
}

/** Ends what `path` names. That it is gone already is as good. */
export async function drop(path) {
  try {
    await api("DELETE", path);
  } catch (error) {
    if (error.status !== 404) throw error;
  }
}

// --- state, trouble ---------------------------------------------------------------------------------------

let troubleTimer;

/** Says what went wrong; for good, or until the next thing when `forMs` is given. */
export function trouble(text, forMs = 0) {
  clearTimeout(troubleTimer);
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
  if (text && forMs) troubleTimer = setTimeout(() => trouble(""), forMs);
}

let lost = false;

/** `why` is what the gateway has said against it; without it, it has said nothing. */
function connected(yes, why = "") {
  const [dot, words] = $("state").children;
  dot.className = `dot ${yes ? "ok" : "warn"}`;
  words.textContent = yes ? "Up to date" : why ? "Not up to date" : "No connection";
  if (!yes) trouble(why || "The gateway does not answer. Trying again.");
  else if (lost) trouble("");
  lost = !yes;
}

export const say = (text) => ($("said").textContent = text);

/**
 * Runs `look` now and every `every` ms (a number, or what gives it) while the page is seen; returns a function that
 * runs it at once.
 */
export function keepLooking(every, look) {
  const everyMs = typeof every === "function" ? every : () => every;
  let timer;
  let failures = 0;
  let running = null;
  let again = false;
  async function run() {
    clearTimeout(timer);
    try {
      await look();
      failures = 0;
      connected(true);
      $("main").removeAttribute("data-loading");
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      failures += 1;
      connected(false, error.status ? error.message : "");
    }
  }
  function now() {
    if (running) {
      again = true;
      return running;
    }
    running = run().finally(() => {
      running = null;
      if (again) {
        again = false;
        now();
      } else if (!document.hidden) {
        timer = setTimeout(now, Math.min(everyMs() * 2 ** failures, 30000));
      }
    });
    return running;
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : now()));
  now();
  return now;
}

/** Calls `look` the moment something happens, as the gateway tells it, while the page is seen; first `heed(type)`. */
export function follow(look, heed = () => {}) {
  let stream = null;
  let timer = 0;
  // Several at once are one: a message is an event, and so is what it changes.
  const soon = () => (timer ||= setTimeout(() => ((timer = 0), look()), 100));
  const open = () => {
    stream?.close();
    stream = document.hidden ? null : new EventSource("/api/events");
    // Should it be refused, the page still looks from time to time.
    if (stream) stream.onmessage = ({ data }) => (heed(JSON.parse(data).type), soon());
  };
  document.addEventListener("visibilitychange", open);
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", ({ persisted }) => persisted && open());
  open();
}

// --- lists ------------------------------------------------------------------------------------------------

const filled = new WeakMap();

/** Makes `list` show `items`. What did not change keeps its element, and with it the keyboard's focus. */
export function fill(list, items, keyOf, render) {
  const before = filled.get(list) ?? new Map();
  const after = new Map();
  let at = list.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    const content = JSON.stringify(item);
    const known = before.get(key);
    let { node } = known ?? {};
    if (known?.content !== content) {
      const fresh = render(item);
      const focused = node?.contains(document.activeElement) && document.activeElement.dataset.act;
      node?.replaceWith(fresh);
      if (at === node) at = fresh;
      node = fresh;
      if (focused) node.querySelector(`[data-act="${focused}"]`)?.focus();
    }
    if (node === at) at = at.nextSibling;
    else list.insertBefore(node, at);
    after.set(key, { content, node });
  }
  for (const [key, { node }] of before) if (!after.has(key)) node.remove();
  filled.set(list, after);
}

// --- words ------------------------------------------------------------------------------------------------

const hour = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });
const dateAndYear = new Intl.DateTimeFormat([], { day: "numeric", month: "short", year: "numeric" });
const fullDate = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });
const dayOf = (at) => new Date(at).setHours(0, 0, 0, 0);

/** "14:03" today, "Yesterday", else "3 Nov". */
export function when(iso) {
  const days = Math.round((dayOf(Date.now()) - dayOf(iso)) / 86400000);
  return days === 0 ? hour.format(new Date(iso)) : days === 1 ? "Yesterday" : shortDay(iso);
}

export const day = (iso) => fullDate.format(new Date(iso));

/** "3 Nov", with the year when it is another one. */
export function shortDay(iso) {
  const at = new Date(iso);
  return (at.getFullYear() === new Date().getFullYear() ? date : dateAndYear).format(at);
}

/** "just now", "5 min ago", then as `when`. */
export function ago(iso) {
  const minutes = Math.floor((Date.now() - new Date(iso)) / 60000);
  if (minutes < 2) return "just now";
  return minutes < 60 ? `${minutes} min ago` : when(iso).replace("Yesterday", "yesterday");
}

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** Two letters for a platform's tile. */
export function tile(title) {
  const words = title.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  return (words.length > 1 ? words[0][0] + words[1][0] : title.slice(0, 2)).toUpperCase();
}

/** Whether the agent, or its owner, said it. What else goes out is the gateway's notice. */
export const isOurs = (last) => last.direction === "outbound" && (!last.sender || last.from_owner);

const SEEN = 400; // characters of a message: no row shows more

/** One row of an inbox list. */
export function conversationRow(item, titles, current) {
  const { conversation_id: id, platform, remote_name: name, last_message: last, last_message_at: at } = item;
  const title = titles.get(platform) ?? platform;
  const ours = last && isOurs(last);
  const state = !last ? "" : !ours ? "Not answered" : last.status === "failed" ? "Not delivered" : "";
  const text = (last && plain(last.text.slice(0, SEEN))) || last?.attachments.map((file) => file.name).join(", ") || "";
  const row = el(
    "a",
    { href: `/dashboard/inbox/${id}`, "data-act": "open", "aria-current": id === current ? "page" : null },
    el("span", { class: "pf", title, "aria-hidden": "true" }, tile(title)),
    el(
      "div",
      {},
      el("div", { class: "name" }, el("b", {}, el("bdi", {}, name || "Somebody"))),
      el("p", {}, state && el("span", { class: "open-state" }, state), state && " · ", ours && !state ? (last.from_owner ? "You: " : "Agent: ") : "", el("bdi", {}, text)),
    ),
    el("time", { datetime: at }, when(at)),
    el("span", { class: "sr-only" }, title),
  );
  return el("li", {}, row);
}

/** Titles of the platforms by their names; read once for a page. */
export async function readPlatforms() {
  const { platforms, connections } = await api("GET", "/api/platforms");
  return { platforms, connections, titles: new Map(platforms.map((one) => [one.platform, one.title])) };
}

// --- copying, dialogs -------------------------------------------------------------------------------------

async function copy(target) {
  const text = target.value ?? target.textContent;
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard over plain http: the older way needs the text to be selected.
    if (target.select) target.select();
    else getSelection().selectAllChildren(target);
    return document.execCommand("copy");
  }
}

$("whose")?.addEventListener("change", async ({ target }) => {
  try {
    await api("POST", `/api/agents/${target.value}/choose`);
    // A conversation, a call or a webhook is of one agent: its list is of each.
    location.assign(location.pathname.split("/").slice(0, 3).join("/"));
  } catch (error) {
    target.value = document.body.dataset.agent;
    trouble(error.message, 6000);
  }
});

// A page that the browser brings back as it was left must not come with its menu open.
addEventListener("pagehide", () => $("pages").hidePopover());

document.addEventListener("click", async ({ target }) => {
  target.closest("[data-close]")?.closest("dialog").close();
  const button = target.closest("[data-copy]");
  if (!button) return;
  const label = button.querySelector("span");
  const done = await copy($(button.dataset.copy));
  label.textContent = done ? "Copied" : "Press Ctrl+C";
  say(label.textContent);
  setTimeout(() => (label.textContent = "Copy"), 2000);
});

export { $, el, icon };
