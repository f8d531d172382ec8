// Ping agents: a test message to whoever listens, and what became of it in words.
import { $, api, el, plural, say, trouble } from "./dash.js";

const LOOK_MS = 1000;
const WORDS = {
  waiting: ["", "Waiting for an answer…"],
  replied: ["ok", "Answered"],
  connected_silent: ["warn", "No reply: connected, but it did not answer"],
  used_recently: ["warn", "No reply: used lately, but nothing listens with it now"],
  not_connected: ["", "No reply: not connected"],
};

let verdicts = new Map();
let asking = false;

/** What is known of a key or a program; undefined before anybody was asked. */
export const verdictOf = (id) => verdicts.get(id);

export function verdictLine({ verdict, replied_after_s: after }) {
  const [tone, words] = WORDS[verdict];
  const text = verdict === "replied" ? `${words} after ${after < 1 ? "less than a second" : plural(Math.round(after), "second")}` : words;
  return el("p", { class: "verdict" }, el("span", { class: `dot ${tone}`, "aria-hidden": "true" }), text);
}

function take({ keys, grants }, changed) {
  const all = [...keys, ...grants];
  const before = JSON.stringify([...verdicts]);
  verdicts = new Map(all.map((one) => [one.id, one]));
  if (JSON.stringify([...verdicts]) !== before) changed();
  return all;
}

function summary(all, open) {
  const answered = all.filter((one) => one.verdict === "replied").length;
  if (!all.length) return "There is no key and no program that could answer.";
  if (open) return "A test message is out. Agents have 30 seconds to answer it.";
  if (!answered) return "Nobody answered.";
  if (answered < all.length) return `${answered} of ${all.length} answered.`;
  return answered === 1 ? "It answered." : `All ${answered} answered.`;
}

function note(words) {
  const line = $("ping-note");
  line.hidden = !words;
  if (line.textContent === words) return;
  line.textContent = words;
  say(words);
}

async function ask(changed) {
  let seen = await api("POST", "/api/api-keys/ping");
  for (;;) {
    const all = take(seen, changed);
    const open = seen.waiting && all.some((one) => one.verdict === "waiting");
    note(summary(all, open));
    if (!open) return;
    await new Promise((later) => setTimeout(later, LOOK_MS));
    seen = await api("GET", `/api/api-keys/ping/${seen.ping_id}`);
  }
}

/** Makes the button work; `changed` is called when there is something new to show in the rows. */
export function pingAgents(changed) {
  $("ping").addEventListener("click", async () => {
    if (asking) return;
    asking = true;
    $("ping").setAttribute("aria-disabled", "true");
    try {
      await ask(changed);
    } catch (error) {
      trouble(error.message, 6000);
      note("");
      verdicts = new Map();
      changed();
    } finally {
      asking = false;
      $("ping").removeAttribute("aria-disabled");
    }
  });
}
