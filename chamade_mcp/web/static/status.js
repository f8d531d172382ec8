// Keeps the status page true while it is looked at.
import { $ } from "./dom.js";
import { span } from "./figures.js";

const LOOK_MS = 15000;
const ALL = { ok: "This gateway works", degraded: "This gateway does not work as it should" };

let timer;

const say = (node, text) => node.textContent === text || (node.textContent = text);

function up(seconds) {
  say($("up"), `for ${span(seconds)}`);
}

function show({ status, uptime_s: seconds, parts, platforms = [] }) {
  say($("all"), ALL[status]);
  up(seconds);
  for (const { name, status: state, words } of [...parts, ...platforms]) {
    const row = document.querySelector(`[data-part="${CSS.escape(name)}"]`);
    if (!row) continue;
    row.firstElementChild.className = `dot ${state === "ok" ? "ok" : "warn"}`;
    say(row.lastElementChild, words);
  }
}

async function look() {
  clearTimeout(timer);
  try {
    const answer = await fetch("/status", { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.statusText);
    show(await answer.json());
  } catch {
    say($("all"), "This gateway does not answer");
    for (const dot of document.querySelectorAll(".dot")) dot.className = "dot";
  }
  if (!document.hidden) timer = setTimeout(look, LOOK_MS);
}

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
up(Number($("up").dataset.seconds));
timer = setTimeout(look, LOOK_MS);
