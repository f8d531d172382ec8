// The newcomer's list: each step as it really is, with one thing to do, until an agent has talked with a person.
import { $, api, el, fill, icon, trouble } from "./dash.js";

const STEPS = {
  key: { name: "Make a key", help: "Your agent shows it at the door. Give each agent its own.", go: "Make a key", href: "/dashboard/keys" },
  client: { name: "Connect a client", help: "One line for Claude Code; others are as short. Then ping it: it answers with a verdict.", go: "Connect", href: "/dashboard/connect" },
  link: { name: "Give somebody a way to write", help: "A private chat in the browser. Open it yourself in another window to try.", go: "Make a chat link", act: "chat" },
  message: { name: "A first message arrives", help: "Write something in the chat that you have made: it is in the inbox at once.", go: "Open the inbox", href: "/dashboard/inbox" },
  answer: { name: "Your agent answers", help: "Tell it: Wait for direct messages with chamade_inbox and answer each of them.", go: "Ping agents", href: "/dashboard/keys" },
  call: { name: "A first call", help: "Start a room, and give its link to your agent and to a person.", go: "Start a room", act: "room" },
};

let list = { steps: [], dismissed: true };
let away = false; // put away at the account
let through = false; // seen to its end on this page
let closed = false;
let start = () => {};

export async function readFirstSteps() {
  // Once it is put away it stays so: there is nothing to ask for again.
  if (!away) list = await api("GET", "/api/first-steps");
}

function row({ step, done, current }) {
  const { name, help, go, href, act } = STEPS[step];
  const todo = current && (href ? el("a", { class: "button small", href, "data-act": step }, go) : el("button", { type: "button", class: "small", "data-act": step, onclick: () => start(act) }, go));
  return el(
    "li",
    { class: done ? "done" : current ? "current" : "" },
    el("span", { class: "n", "aria-hidden": "true" }, done ? icon("check") : null),
    el("div", {}, el("b", {}, name), done ? el("span", { class: "sr-only" }, ", done") : null, current ? el("p", { class: "muted" }, help) : null),
    todo || null,
  );
}

async function putAway() {
  try {
    await api("DELETE", "/api/first-steps");
  } catch (error) {
    trouble(error.message, 8000);
    return false;
  }
  return (away = true);
}

/** `begin(kind)` makes a link of that kind. */
export function firstSteps(begin) {
  start = begin;
  $("first-close").addEventListener("click", async () => {
    closed = away || (await putAway());
    if (!closed) return;
    showFirstSteps();
    $("main").focus();
  });
}

/** Whether the list is shown, and so says what is next. */
export function showFirstSteps() {
  const { steps, dismissed } = list;
  const shown = !closed && (!dismissed || through);
  $("first-card").hidden = !shown;
  if (!shown) return false;
  const done = steps.filter((one) => one.done).length;
  const current = steps.find((one) => !one.done)?.step;
  fill($("first-list"), steps.map((one) => ({ ...one, current: one.step === current })), (one) => one.step, row);
  $("first-count").textContent = `${done} of ${steps.length} done`;
  $("first-title").textContent = current ? "From here to an agent that talks" : "Your agent talks with people";
  $("first-close").textContent = current ? "Put this away" : "Close";
  if (!current && !through) {
    // Shown to its end this once; what gets old and is forgotten does not bring it back.
    through = true;
    putAway();
  }
  return true;
}
