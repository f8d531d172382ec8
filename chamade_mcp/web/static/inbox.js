// All conversations, and one of them as the agent reads it.
import { $, api, conversationRow, el, fill, follow, icon, keepLooking, readPlatforms } from "./dash.js";
import { attachment, clock } from "./message.js";
import { renderText } from "./text.js";
import { dayName } from "./thread.js";

const PAGE = 50;
const MOST = 200; // what the API gives of one conversation
const TOGETHER_MS = 5 * 60 * 1000;
const STATUS = { pending: "on its way", failed: "not delivered", unknown: "may not have arrived" };
const current = document.querySelector(".mail").dataset.conversation;

let titles = new Map();
let pages = 1;
let limit = PAGE;
let newest = null;

// --- the list ---------------------------------------------------------------------------------------------

async function readList() {
  const wanted = Array.from({ length: pages }, (_, n) => api("GET", `/api/inbox?limit=${PAGE}&offset=${n * PAGE}`));
  const found = (await Promise.all(wanted)).flatMap((answer) => answer.conversations);
  // A conversation moves up while the pages are read: it may be in two of them.
  return [...new Map(found.map((one) => [one.conversation_id, one])).values()];
}

function showList(conversations) {
  fill($("inbox"), conversations, (one) => one.conversation_id, (one) => conversationRow(one, titles, current));
  $("inbox-empty").hidden = conversations.length > 0;
  $("choose")?.toggleAttribute("hidden", !conversations.length);
  $("more").hidden = conversations.length < pages * PAGE;
}

$("more").addEventListener("click", () => {
  pages += 1;
  lookNow();
});

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
  const at = new Date(message.timestamp);
  const about = [clock.format(at), ours && !message.sender ? "AI agent" : null].filter(Boolean).join(" · ");
  const node = el(
    "li",
    { class: `message ${ours ? "agent" : "person"}${message.together ? " together" : ""}` },
    el(
      "div",
      { class: "by" },
      ours ? el("span", { class: "agent-disc", "aria-hidden": "true" }, icon("wave")) : null,
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
  if (status) node.append(el("p", { class: message.status === "failed" ? "error" : "muted small-print" }, status));
  return node;
}

function showThread({ remote_name: name, platform, messages }) {
  const list = $("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const fromEnd = list.scrollHeight - list.scrollTop;
  $("with").firstElementChild.textContent = name || "Somebody";
  $("about").textContent = titles.get(platform) ?? platform;
  const first = list.children[0]?.textContent;
  fill(list, rows(messages), (one) => one.id, row);
  const earlier = first !== undefined && list.children[0]?.textContent !== first;
  if (atEnd && !earlier) list.scrollTop = list.scrollHeight;
  else if (earlier) list.scrollTop = list.scrollHeight - fromEnd;
  $("earlier").hidden = messages.length < limit || limit >= MOST;
  const last = messages.at(-1);
  if (newest !== null && last && last.id !== newest) {
    $("spoken").textContent = `${last.sender || "Your agent"}: ${last.text || last.attachments.map((file) => file.name).join(", ")}`;
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
  const [list, whole] = await Promise.all([readList(), thread]);
  showList(list);
  if (whole) showThread(whole);
}

// What the agent itself says is no event of its own; what people do is shown at once.
const lookNow = keepLooking(3000, look);
follow(lookNow);
