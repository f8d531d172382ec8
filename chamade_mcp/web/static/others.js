// The other agents of the account: how many people wait for each, and the way there.
import { $, api, el, fill, plural, trouble } from "./dash.js";

async function show(agent) {
  try {
    await api("POST", `/api/agents/${agent.id}/choose`);
    location.assign(agent.waiting ? "/dashboard/inbox" : "/dashboard");
  } catch (error) {
    trouble(error.message, 6000);
  }
}

function row(agent) {
  const { name, waiting } = agent;
  const words = waiting ? `${plural(waiting, "conversation")} ${waiting === 1 ? "waits" : "wait"} for an answer` : "Everybody has an answer";
  return el(
    "li",
    { class: "link-row" },
    el("div", {}, el("b", {}, el("bdi", {}, name)), el("p", {}, words)),
    el("button", { type: "button", class: "small", "data-act": "show", "aria-label": `Show ${name}`, onclick: () => show(agent) }, "Show"),
  );
}

export async function look() {
  const { agents } = await api("GET", "/api/agents");
  const shown = agents.filter(({ id }) => id !== document.body.dataset.agent);
  fill($("others"), shown.map(({ id, name, waiting }) => ({ id, name, waiting })), ({ id }) => id, row);
}
