// Who may write to the agent: each of its bots, its rule, and the people who are let in or kept out.
import { accessField } from "./access.js";
import { $, api, el, fill, keepLooking, plural, readPlatforms, say, shortDay, trouble } from "./dash.js";

const MOST = 500; // what the API gives of one bot
const STATES = { ok: ["ok", "Connected"], auth_needed: ["warn", "Has to be connected again"], unavailable: ["warn", "Not reachable"] };

let titles = new Map();
const cards = new Map(); // by the connection's id

const nameOf = ({ name, sender_id: sender }) => name || sender;

// --- asking first -----------------------------------------------------------------------------------------

let agreed = null;

/** Asks before something that is hard to take back; `act` may fail, which is told in the dialog. */
function ask(title, text, go, act) {
  $("ask-title").replaceChildren(...title);
  $("ask-text").textContent = text;
  $("ask-go").textContent = go;
  $("ask-error").textContent = "";
  agreed = act;
  $("ask").showModal();
}

$("ask-go").addEventListener("click", async () => {
  try {
    await agreed();
    $("ask").close();
  } catch (error) {
    $("ask-error").textContent = error.message;
  }
});

// --- people -----------------------------------------------------------------------------------------------

/** What was decided is done; somebody who is gone already is what was wanted. */
async function decide(method, path, words) {
  try {
    await api(method, path);
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  say(words);
  await lookNow();
  if (!document.activeElement || document.activeElement === document.body) $("people-title").focus();
}

function askForget(person) {
  const whom = nameOf(person);
  const text = "What they write reaches nobody from now on. They are a stranger again, who may ask where strangers may.";
  ask(["Take back ", el("bdi", {}, whom)], text, "Take back", () => decide("DELETE", `/api/pairings/${person.id}`, `${whom} is a stranger again`));
}

function askKeepOut(person) {
  const whom = nameOf(person);
  const text = "What they write reaches nobody, and they cannot ask again. They are not told.";
  ask(["Keep ", el("bdi", {}, whom), " out"], text, "Keep them out", () => decide("POST", `/api/pairings/${person.id}/deny`, `${whom} is kept out`));
}

async function letIn(person) {
  try {
    await decide("POST", `/api/pairings/${person.id}/approve`, `${nameOf(person)} is let in`);
  } catch (error) {
    trouble(error.message, 8000);
  }
}

function personRow(person) {
  const whom = nameOf(person);
  const out = person.status === "denied";
  const act = (name, words, does, quiet) =>
    el("button", { type: "button", class: quiet ? "quiet small" : "small", "data-act": name, "aria-label": `${words}: ${whom}`, onclick: () => does(person) }, words);
  return el(
    "li",
    { class: "person" },
    el(
      "div",
      {},
      el("div", { class: "name" }, el("b", {}, el("bdi", {}, whom)), out ? el("span", { class: "tag warn" }, "Kept out") : null),
      el("p", {}, person.name ? el("code", {}, el("bdi", {}, person.sender_id)) : null, person.name ? " · " : null, `since ${person.since}`),
    ),
    el(
      "div",
      { class: "row-acts" },
      out ? act("in", "Let in", letIn, false) : act("out", "Keep out", askKeepOut, true),
      act("forget", out ? "Forget" : "Take back", askForget, out),
    ),
  );
}

// --- somebody who did not ask -----------------------------------------------------------------------------

let adding = null;

function askWhom(connection) {
  adding = connection;
  $("add-where").textContent = titles.get(connection.platform) ?? connection.platform;
  for (const id of ["add-sender", "add-name"]) $(id).value = "";
  $("add-error").textContent = "";
  $("add").showModal();
  $("add-sender").focus();
}

$("add-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const sender = $("add-sender").value.trim();
  const name = $("add-name").value.trim();
  if (!sender) {
    $("add-error").textContent = "Type their id.";
    return $("add-sender").focus();
  }
  try {
    await api("POST", "/api/pairings", { connection_id: adding.id, sender_id: sender, name });
    $("add").close();
    say(`${name || sender} is let in`);
    lookNow();
  } catch (error) {
    $("add-error").textContent = error.fields[0] ? `That ${error.fields[0].message}.` : error.message;
  }
});

// --- bots -------------------------------------------------------------------------------------------------

function card(connection) {
  const title = `bot-${connection.id}`;
  const list = el("ul", { class: "list" });
  const state = el("p", { class: "state-line" }, el("span", { class: "dot", "aria-hidden": "true" }), el("span", {}));
  const none = el("p", { class: "empty", hidden: true });
  const more = el("p", { class: "muted small-print", hidden: true }, `The newest ${MOST} are shown.`);
  const about = accessField(connection, ask);
  const add = el("button", { type: "button", onclick: () => askWhom(connection) }, "Let somebody in");
  const node = el(
    "section",
    { class: "card bot-card", "aria-labelledby": title },
    el("div", { class: "h" }, el("h2", { id: title }, el("bdi", {}, connection.name)), el("span", { class: "tag" }, titles.get(connection.platform) ?? connection.platform)),
    state,
    about.node,
    list,
    none,
    more,
    el("div", { class: "actions" }, add),
  );
  $("bots").append(node);
  return { node, list, state, none, more, about };
}

function show(connection, people) {
  if (!cards.has(connection.id)) cards.set(connection.id, card(connection));
  const shown = cards.get(connection.id);
  const [tone, words] = STATES[connection.status] ?? ["", "Connecting"];
  shown.state.firstChild.className = `dot ${tone}`;
  shown.state.lastChild.textContent = words;
  shown.about.show(connection.access);
  const settled = people.filter(({ status }) => status !== "pending");
  const rows = settled.map(({ id, name, sender_id, status, created_at: at }) => ({ id, name, sender_id, status, since: shortDay(at) }));
  fill(shown.list, rows, (person) => person.id, personRow);
  shown.none.textContent = connection.access === "open" ? "Nobody is let in or kept out by name: anybody is heard." : "Nobody is let in yet.";
  shown.none.hidden = rows.length > 0;
  shown.more.hidden = people.length < MOST;
  return people.length - settled.length;
}

async function look() {
  const read = await readPlatforms();
  titles = read.titles;
  const bots = read.connections.filter(({ embedded }) => !embedded);
  const found = await Promise.all(bots.map(({ id }) => api("GET", `/api/pairings?connection_id=${encodeURIComponent(id)}`)));
  const there = new Set(bots.map(({ id }) => id));
  for (const [id, { node }] of cards) if (!there.has(id)) node.remove(), cards.delete(id);
  const waiting = bots.map((bot, n) => show(bot, found[n].pairings)).reduce((sum, some) => sum + some, 0);
  $("bots-empty").hidden = bots.length > 0;
  $("people-waiting").firstChild.textContent = `${plural(waiting, "stranger asks", "strangers ask")} to be let in.`;
  $("people-waiting").hidden = !waiting;
}

const lookNow = keepLooking(8000, look);
