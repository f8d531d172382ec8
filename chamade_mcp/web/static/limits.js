// Limits in words. A limit that is not known here is shown by its name.
import { el } from "./dom.js";
import { count, span } from "./figures.js";

const NAMES = {
  concurrent_calls: ["Calls at the same time"],
  files: ["Files", "Uploads stay a day, what people send a month."],
  recordings: ["Recordings"],
  file_size: ["A file"],
  connections: ["Connected bots"],
  webhooks: ["Webhooks", "Of this agent."],
  passkeys: ["Passkeys"],
  people: ["People of one connection"],
  message_text: ["A message"],
  attachments: ["Files beside a message"],
  file_fetches: ["Files fetched from other servers"],
  webhook_tests: ["Tests of webhooks"],
  wrong_passwords: ["Wrong passwords"],
  event_streams: ["Open event streams of one key"],
};
const NEARLY = 0.8;

/** A bar of which `part` of `whole` is filled. What it says stands beside it in words. */
export function share(part, whole, near = false) {
  const filled = el("i", { class: near ? "near" : "" });
  filled.style.width = `${whole > 0 ? Math.min(100, (part / whole) * 100) : 0}%`;
  return el("div", { class: "share", "aria-hidden": "true" }, filled);
}

/** As the settings have them: 25 MiB are no 25 MB. */
function bytes(value) {
  const step = [2 ** 30, 2 ** 20, 2 ** 10].find((one) => value >= one) ?? 1;
  const said = value / step;
  return `${count(Number(said.toFixed(said < 10 ? 1 : 0)))} ${{ [2 ** 30]: "GiB", [2 ** 20]: "MiB", [2 ** 10]: "KiB", 1: "bytes" }[step]}`;
}

function amount(value, unit) {
  return unit === "bytes" ? bytes(value) : unit === "characters" ? `${count(value)} characters` : count(value);
}

/** One row: what is limited, how much of it is used, who changes it. */
export function allowance({ name, used, limit, unit, per_s: per, setting }) {
  const [title, note = ""] = NAMES[name] ?? [name];
  const whole = amount(limit, unit) + (per ? ` in ${span(per)}` : "");
  const words = used === null ? `${whole} at most` : `${amount(used, unit)} of ${whole}`;
  const near = used !== null && used >= limit * NEARLY;
  return el(
    "li",
    {},
    el("b", {}, title),
    used === null ? null : share(used, limit, near),
    el("p", {}, words, near ? el("span", { class: "tag warn" }, used >= limit ? "Full" : "Nearly full") : null),
    note || setting ? el("p", { class: "muted small-print" }, note, note && setting ? " " : "", setting ? "Set by " : "", setting ? el("code", {}, setting) : "") : null,
  );
}
