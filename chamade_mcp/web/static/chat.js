// The private chat: one conversation with the agent, and a button that rings it.
import { ChatMessage } from "./chatmessage.js";
import { Composer } from "./composer.js";
import { Deeds } from "./deeds.js";
import { $, recall, remember, webAddress } from "./dom.js";
import { showOver } from "./over.js";
import { TextLine } from "./line.js";
import { Receipts } from "./receipts.js";
import { Thread } from "./thread.js";
import { newKey, Wire } from "./wire.js";

const { live: path, agent } = document.body.dataset;
const title = document.title;
const guestKey = `guest.${location.pathname}`;
const identity = { name: recall("localStorage", "name"), guest: recall("localStorage", guestKey) };
const wire = new Wire(path, identity, new TextLine());
const drafts = new Map();
const receipts = new Receipts({ send: (message) => wire.send(message) });
const deeds = new Deeds({
  you: () => thread.you,
  onreact: react,
  onreply: (message) => composer.reply(message),
  onedit: (message) => composer.edit(message),
  ondelete: ({ id }) => change({ type: "delete", id }, {}),
});
const onretry = (key) => wire.keep(drafts.get(key));
const thread = new Thread({ Message: ChatMessage, onretry, onreact: react, deeds });
const composer = new Composer({
  path,
  wire,
  onsend: say,
  onedit: (id, text) => change({ type: "edit", id, text }, { text }),
  onlast: () => thread.lastOfYours,
});

let unread = 0;
let ringing = false;
let statusTimer = 0;

function show(section) {
  for (const id of ["intro", "chat", "over"]) $(id).hidden = id !== section;
}

function start() {
  show("chat");
  for (const node of document.querySelectorAll(".your-name")) node.textContent = identity.name;
  wire.open();
  if (matchMedia("(pointer: fine)").matches) composer.focus();
}

function say(text, attachments, replyTo) {
  const key = newKey();
  thread.pending({ key, sender: identity.name, text, attachments, reply_to: replyTo });
  $("hello").hidden = true;
  send({ type: "chat", key, text, attachments: attachments.map((file) => file.file_id), reply_to: replyTo });
}

/** Does something to a message; `shown` is what the page shows of it at once. */
function change(what, shown) {
  const key = newKey();
  thread.changing(key, what.id, shown);
  send({ ...what, key });
}

function react({ id }, emoji, on) {
  const { reactions } = thread.find(id).message;
  const others = reactions.filter((r) => r.emoji !== emoji || r.sender_id !== thread.you);
  const mine = on ? [{ emoji, sender_id: thread.you, sender: identity.name }] : [];
  change({ type: "react", id, emoji, on }, { reactions: [...others, ...mine] });
}

function send(message) {
  drafts.set(message.key, message);
  wire.keep(message);
}

/** Puts a message of the gateway on the page; whether it is new there. */
function put(message) {
  const isNew = thread.add(message);
  receipts.shown(message, thread.find(message.id).node);
  return isNew;
}

function countUnread(more) {
  unread = more ? unread + more : 0;
  document.title = unread ? `(${unread}) ${title}` : title;
}

function status(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

// ---- calling

const WORDS = {
  ringing: `Calling ${agent}`,
  refused: `${agent} cannot take a call now. You can write instead.`,
  missed: `${agent} did not answer. You can write instead, or call again later.`,
  lost: "The connection was lost while calling. Call again when it is back.",
  accepted: `${agent} picked up. Opening the call`,
};

function showCall(state, roomUrl = "") {
  ringing = state === "ringing";
  $("ringing").hidden = state === "none";
  $("ringing").dataset.state = state;
  $("ringing-text").textContent = WORDS[state] ?? "";
  $("hang-up").hidden = !ringing;
  $("dismiss").hidden = ringing || state === "accepted";
  $("call").disabled = ringing || state === "accepted";
  $("open-call").hidden = state !== "accepted";
  if (state !== "accepted") return;
  const room = webAddress(roomUrl);
  if (!room) return showCall("lost");
  $("open-call").href = room.href;
  remember("sessionStorage", "chat", location.pathname);
  location.assign(room.href);
}

$("call").addEventListener("click", () => {
  if (wire.send({ type: "call" })) showCall("ringing");
});
$("hang-up").addEventListener("click", () => {
  wire.send({ type: "hang_up" });
  showCall("none");
});
$("dismiss").addEventListener("click", () => showCall("none"));
// Back from the room by the browser's own button, the page is as it was left: opening a call.
addEventListener("pageshow", ({ persisted }) => persisted && showCall("none"));

// ---- the gateway's words

wire
  .on("state", ({ state, reason }) => {
    status(state === "reconnecting" ? "Reconnecting" : state === "connecting" ? "Connecting" : "");
    $("status").classList.toggle("busy", state !== "open");
    $("call").disabled = state !== "open" || ringing;
    if (state === "reconnecting" && ringing) showCall("lost");
    if (state !== "closed") return;
    show("over");
    showOver(reason, start);
  })
  .on("welcome", (welcome) => {
    remember("localStorage", guestKey, welcome.guest);
    composer.limits(welcome.limits);
    const first = thread.empty;
    thread.you = welcome.you;
    const fresh = welcome.messages.filter(put);
    if (!first && document.hidden && fresh.length) countUnread(fresh.length);
    $("hello").hidden = !thread.empty;
    if (first) thread.scrollToEnd();
  })
  .on("chat", ({ message }) => {
    $("hello").hidden = true;
    if (!put(message) || message.kind === "person") return;
    thread.announce(message);
    if (document.hidden) countUnread(1);
  })
  .on("revised", ({ message }) => thread.say(thread.revise(message)))
  .on("ack", ({ key }) => (thread.settled(key), drafts.delete(key)))
  .on("typing", ({ id, name }) => thread.typing(id, name))
  .on("calling", ({ state, room_url: roomUrl }) => showCall(state, roomUrl))
  .on("error", ({ code, message, key }) => {
    if (key) {
      wire.forget(key);
      thread.failed(key, message, code === "STORE_FAILED" || code === "RATE_LIMITED");
      return;
    }
    if (ringing) showCall("none");
    status(message);
    clearTimeout(statusTimer);
    statusTimer = setTimeout(() => wire.state === "open" && status(""), 6000);
  });

document.addEventListener("visibilitychange", () => !document.hidden && countUnread(0));

$("intro-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  $("name-error").hidden = Boolean(name);
  if (!name) return $("name").focus();
  identity.name = name;
  remember("localStorage", "name", name);
  if (wire.state === "open") {
    wire.send({ type: "rename", name });
    show("chat");
    for (const node of document.querySelectorAll(".your-name")) node.textContent = name;
  } else start();
});
$("rename").addEventListener("click", () => {
  $("name").value = identity.name;
  $("intro-go").textContent = "Save";
  show("intro");
  $("name").focus();
});

if (identity.name) start();
else {
  show("intro");
  $("name").focus();
}
