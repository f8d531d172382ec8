// How long things are kept: shown in days, and changed. What would be removed by it is told first.
import { $, Refused, api, say } from "./dash.js";
import { onForm } from "./forms.js";
import { sure } from "./sure.js";

const MOST_DAYS = 3650;
const FILES_DAYS = 30; // no file is kept longer, whatever is set
const NAMES = {
  messages_days: "messages",
  transcripts_days: "transcripts and chats of calls",
  recordings_days: "recordings",
  files_days: "files",
};

let kept = null;

const field = (name) => $("kept-form").elements[name];
const inDays = (n) => (n === 1 ? "a day" : `${n} days`);

/** What the gateway says now; what somebody has typed and not yet saved stays. */
export function showRetention(fresh) {
  kept = fresh;
  for (const [name, days] of Object.entries(fresh)) {
    const input = field(name);
    const untouched = input.value === input.defaultValue && document.activeElement !== input;
    input.defaultValue = days ?? "";
    if (untouched) input.value = input.defaultValue;
  }
}

/** What was typed, as the API takes it. */
function read(typed) {
  const wrong = [];
  const days = {};
  for (const [name, text] of Object.entries(typed)) {
    const value = text.trim() === "" ? null : Number(text);
    if (value !== null && !(Number.isInteger(value) && value >= 1 && value <= MOST_DAYS)) {
      wrong.push({ field: name, message: `must be a whole number from 1 to ${MOST_DAYS}, or empty` });
    }
    days[name] = value;
  }
  if (wrong.length) throw new Refused(422, { errors: wrong });
  return days;
}

const most = (name, days) => days ?? (name === "files_days" ? FILES_DAYS : Infinity);

async function save(days) {
  showRetention(await api("PATCH", "/api/retention", days));
  for (const name of Object.keys(days)) field(name).value = field(name).defaultValue;
}

onForm("kept-form", async (typed) => {
  const days = read(typed);
  const shorter = Object.keys(days).filter((name) => most(name, days[name]) < most(name, kept[name]));
  if (!shorter.length) {
    await save(days);
    return "Saved";
  }
  const gone = shorter.map((name) => `${NAMES[name]} older than ${inDays(days[name])}`);
  const whose = document.body.dataset.agent ? "of all your agents" : "of your account";
  sure("Remove what is older", `Within the hour these go, ${whose}: ${gone.join("; ")}. From then on the same goes every hour. It cannot be undone.`, "Save and remove", async () => {
    await save(days);
    return () => {
      $("kept-done").textContent = "Saved. What is older goes within the hour.";
      say($("kept-done").textContent);
    };
  });
});
