// All conversations, and one of them as the agent reads it, to be answered by hand.
import { Answer, sendAgain } from "./answer.js";
import { Conversations } from "./conversations.js";
import { $, api, el, fill, follow, icon, keepLooking, readPlatforms } from "./dash.js";
import { attachment, clock } from "./message.js";
import { plain } from "./plain.js";
import { readRequests, showRequests } from "./requests.js";
import { renderText } from "./text.js";
import { dayName } from "./thread.js";

const PAGE = 50;
const MOST = 200; // what the API gives of one conversation
const TOGETHER_MS = 5 * 60 * 1000;
const STATUS = { pending: "On its way", failed: "Not delivered", unknown: "May not have arrived" };
const current = document.querySelector(".mail").dataset.conversation;

const list = new Conversations(current);
let titles = new Map();
let limit = PAGE;
let newest = null;
let messages = [];

// --- one conversation -------------------------------------------------------------------------------------

/** The messages with what stands between them. */
function rows(messages) {
  const out = [];
  let last = null;
  for (const message of messages) {
    const at = new Date(message.timestamp);
    const sameDay = last && at.toDateString() === last.at.toDateString();
    if (!sameDay) out.push({ id: `day ${at.toDateString()}`, day: dayName(at) });
    const together = sameDay && last.direction === message.direction && last.sender === message.sender && at - last.at < TOGETHER_MS;
    out.push({ ...message, together: Boolean(together) });
    last = { at, direction: message.direction, sender: message.sender };
  }
  return out;
}

function row(message) {
  if (message.day) return el("li", { class: "day" }, el("span", {}, message.day));
  const ours = message.direction === "outbound";
  const agent = ours && !message.from_owner;
  const at = new Date(message.timestamp);
  const about = [clock.format(at), message.from_owner ? "By hand" : ours && !message.sender ? "AI agent" : null].filter(Boolean).join(" · ");
  const node = el(
    "li",
    { class: `message ${agent ? "agent" : ours ? "host" : "person"}${message.together ? " together" : ""}` },
    el(
      "div",
      { class: "by" },
      agent ? el("span", { class: "agent-disc", "aria-hidden": "true" }, icon("wave")) : null,
      el("bdi", {}, ours ? message.sender || "Your agent" : message.sender || "Somebody"),
      el("small", {}, el("time", { datetime: message.timestamp }, about)),
    ),
    renderText(message.text),
    ...message.attachments.map(attachment),
  );
  const notes = [
    message.status === "deleted" && "This message was deleted",
    message.edited_at && "Edited",
    ...(message.reactions ?? []).map(({ emoji, sender }) => `${emoji} ${sender || "Your agent"}`),
  ].filter(Boolean);
  if (notes.length) node.append(el("p", { class: "muted small-print" }, el("bdi", {}, notes.join(" · "))));
  const status = ours && STATUS[message.status];
  if (status) node.append(fate(message, status));
  return node;
}

/** What has become of a message that has not arrived: in the platform's words, and the way to send it again. */
function fate({ id, status, detail }, words) {
  if (status === "pending") return el("p", { class: "muted small-print" }, words);
  const label = status === "failed" ? "Try again" : "Send it again";
  return el(
    "div",
    { class: "unsent" },
    el("span", {}, detail ? [words, ": "].join("") : `${words}.`, detail ? el("bdi", {}, detail) : null),
    el("button", { type: "button", class: "small", "data-act": "again", onclick: () => sendAgain(id, lookNow) }, label),
  );
}

function showThread(whole) {
  const { remote_name: name, platform } = whole;
  ({ messages } = whole);
  const thread = $("messages");
  const atEnd = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80;
  const fromEnd = thread.scrollHeight - thread.scrollTop;
  $("with").firstElementChild.textContent = name || "Somebody";
  $("about").textContent = titles.get(platform) ?? platform;
  answer.about(whole, titles.get(platform) ?? platform);
  const first = thread.children[0]?.textContent;
  fill(thread, rows(messages), (one) => one.id, row);
  const earlier = first !== undefined && thread.children[0]?.textContent !== first;
  if (atEnd && !earlier) thread.scrollTop = thread.scrollHeight;
  else if (earlier) thread.scrollTop = thread.scrollHeight - fromEnd;
  $("earlier").hidden = messages.length < limit || limit >= MOST;
  const last = messages.at(-1);
  if (newest !== null && last && last.id !== newest) {
    $("spoken").textContent = `${last.sender || "Your agent"}: ${plain(last.text) || last.attachments.map((file) => file.name).join(", ")}`;
  }
  newest = last?.id ?? "";
}

$("earlier")?.addEventListener("click", () => {
  limit = MOST;
  lookNow();
});

async function look() {
  if (!titles.size) ({ titles } = await readPlatforms());
  const thread = current ? api("GET", `/api/inbox/${current}?limit=${limit}`) : null;
  const [whole] = await Promise.all([thread, list.look(titles), readRequests()]);
  if (whole) showThread(whole);
  showRequests(titles);
}

const answer = current ? new Answer(current, { shown: () => messages, look: () => lookNow() }) : null;

// What the agent itself says is no event of its own; what people do is shown at once.
const lookNow = keepLooking(3000, look);
follow(lookNow);
