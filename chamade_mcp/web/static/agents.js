// The agents of the account: made, named, given connections, deleted.
import { $, api, el, fill, keepLooking, plural, readPlatforms, say, tile, trouble } from "./dash.js";
import { sure } from "./sure.js";

const PAGE = "/dashboard/agents";
const STATES = { ok: "connected", connecting: "connecting", unavailable: "not reachable", auth_needed: "signed out" };

let agents = [];
let titles = new Map();

const pathOf = (agent) => `/api/agents/${agent.id}`;
// The side names the agents, too: it is made anew with the page.
const again = () => location.assign(PAGE);
const act = (name, label, go, about) => el("button", { type: "button", class: "small", "data-act": name, "aria-label": about, onclick: go }, label);

async function change(path, body, done) {
  try {
    await api("PATCH", path, body);
    say(done);
  } catch (error) {
    trouble(error.message, 6000);
  }
  lookNow();
}

async function choose(agent) {
  try {
    await api("POST", `${pathOf(agent)}/choose`);
    location.assign("/dashboard");
  } catch (error) {
    trouble(error.message, 6000);
  }
}

// --- one agent --------------------------------------------------------------------------------------------

function tieRow(tie, several) {
  const title = titles.get(tie.platform) ?? tie.platform;
  const well = tie.status === "ok" ? "ok" : tie.status === "connecting" ? "" : "warn";
  return el(
    "li",
    {},
    el(
      "div",
      { class: "link-row" },
      el("span", { class: "pf", "aria-hidden": "true" }, tile(title)),
      el("div", {}, el("b", {}, el("bdi", {}, tie.name || title)), el("p", { class: "tie-state" }, el("span", { class: `dot ${well}`, "aria-hidden": "true" }), ` ${title}, ${STATES[tie.status] ?? tie.status}`)),
      several ? act(`move-${tie.id}`, "Move", () => askMove(tie, title), `Move ${tie.name || title}`) : null,
    ),
  );
}

function card({ several, ...agent }) {
  const { name, keys, grants, connections: ties } = agent;
  const head = `agent-${agent.id}`;
  return el(
    "section",
    { class: "card bot-card agent-card", "aria-labelledby": head },
    el(
      "div",
      { class: "h" },
      el("h2", { id: head }, el("bdi", {}, name)),
      several && agent.is_default ? el("span", { class: "tag" }, "Default") : null,
      several && agent.current ? el("span", { class: "tag" }, "Shown now") : null,
    ),
    el("p", { class: "muted agent-has" }, el("a", { href: "/dashboard/keys" }, plural(keys, "key")), " and ", el("a", { href: "/dashboard/apps" }, plural(grants, "connected app")), several && agent.is_default ? ". What is newly connected goes to it, unless another agent is shown." : "."),
    ties.length ? el("ul", { class: "list", "aria-label": `Platforms of ${name}` }, ...ties.map((tie) => tieRow(tie, several))) : el("p", { class: "muted" }, "No platform is connected to it. ", agent.current ? el("a", { href: "/dashboard/platforms" }, "Connect one") : "Show it, then connect one."),
    el(
      "div",
      { class: "actions" },
      agent.current ? null : act("choose", "Show this agent", () => choose(agent), `Show ${name}`),
      act("rename", "Rename", () => askName(agent), `Rename ${name}`),
      agent.is_default ? null : act("default", "Make it the default", () => change(pathOf(agent), { is_default: true }, `${name} is the default now.`), `Make ${name} the default`),
      agent.is_default ? null : act("delete", "Delete", () => askDelete(agent), `Delete ${name}`),
    ),
  );
}

// --- naming, moving, deleting -----------------------------------------------------------------------------

let naming = null;
let busy = false;

function askName(agent = null) {
  naming = agent;
  $("agent-title").textContent = agent ? "Rename an agent" : "Add an agent";
  $("agent-go").textContent = agent ? "Rename" : "Add";
  $("agent-name").value = agent?.name ?? "";
  complain("");
  $("agent-dialog").showModal();
  $("agent-name").select();
}

function complain(words) {
  $("agent-name-error").textContent = words;
  $("agent-name").setAttribute("aria-invalid", String(Boolean(words)));
  if (words) $("agent-name").focus();
}

$("create").addEventListener("click", () => askName());
$("agent-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("agent-name").value.trim();
  if (!name) return complain("Give it a name.");
  if (busy) return;
  busy = true;
  try {
    if (naming) await api("PATCH", pathOf(naming), { name });
    else await api("POST", "/api/agents", { name });
    $("agent-dialog").close();
    again();
  } catch (error) {
    complain(error.fields.length ? `It ${error.fields[0].message}.` : error.message);
  } finally {
    busy = false;
  }
});

let moving = null;

function askMove(tie, title) {
  moving = tie;
  $("move-title").querySelector("bdi").textContent = tie.name || title;
  const others = agents.filter((agent) => !agent.connections.some((one) => one.id === tie.id));
  $("move-to").replaceChildren(...others.map((agent) => el("option", { value: agent.id }, agent.name)));
  $("move-error").textContent = "";
  $("move").showModal();
}

$("move-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (busy) return;
  busy = true;
  try {
    const { name } = await api("POST", `/api/agents/${$("move-to").value}/connections`, { connection_id: moving.id });
    $("move").close();
    $("agents-title").focus(); // the button that opened the dialog is about to go
    say(`It belongs to ${name} now.`);
  } catch (error) {
    $("move-error").textContent = error.message;
  } finally {
    busy = false;
  }
  lookNow();
});

const askDelete = (agent) =>
  sure(
    ["Delete ", el("bdi", {}, agent.name)],
    "Its conversations, calls, recordings and files go, and its keys, apps, links and webhooks end at once. This cannot be undone.",
    "Delete",
    async () => {
      await api("DELETE", pathOf(agent));
      return again;
    },
    agent.name,
  );

async function look() {
  const [told, platforms] = await Promise.all([api("GET", "/api/agents"), titles.size ? { titles } : readPlatforms()]);
  ({ agents } = told);
  ({ titles } = platforms);
  const several = agents.length > 1;
  fill($("agents"), agents.map((agent) => ({ ...agent, several })), (agent) => agent.id, card);
  $("agents-one").hidden = several;
}

const lookNow = keepLooking(10000, look);
