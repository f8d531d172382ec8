// The room: lobby, then voice, faces, captions and chat over one socket.
import { Composer } from "./composer.js";
import { $, copyText, recall, remember, visible } from "./dom.js";
import { SoundLine } from "./line.js";
import { Lobby, listMicrophones } from "./lobby.js";
import { Message } from "./message.js";
import { showOver } from "./over.js";
import { Panel } from "./panel.js";
import { explain, Sound } from "./sound.js";
import { Stage } from "./stage.js";
import { Thread } from "./thread.js";
import { newKey, Wire } from "./wire.js";

const CAPTION_MS = 9000;
const path = document.body.dataset.live;
const title = document.title;
const narrow = matchMedia("(max-width: 760px)");

const line = new SoundLine();
const sound = new Sound(new URLSearchParams(location.search).get("audio") === "raw", line);
// A tab is a person: a reload comes back as the same one, a second tab is somebody else.
const guestKey = `guest.${location.pathname}`;
const identity = { name: "", guest: recall("sessionStorage", guestKey), muted: true };
const wire = new Wire(path, identity, line);
const stage = new Stage($("faces"));
const thread = new Thread({ Message, onretry: (key) => wire.keep(drafts.get(key)) });
const composer = new Composer({ path, wire, onsend: say });
const drafts = new Map();

let you = "";
let muted = true;
let unread = 0;
let joinedAt = 0;
let captionTimer = 0;
let restarting = false;

function stats() {
  return {
    frames_sent: line.counts.sent,
    frames_received: line.counts.received,
    underruns: sound.playback.underruns,
    dropped: line.counts.dropped + sound.playback.dropped,
    buffered_ms: sound.playback.buffered_ms,
    rtt_ms: wire.rttMs,
  };
}

window.chamade = {
  stats,
  get context() {
    return sound.context;
  },
  get captureNode() {
    return sound.captureNode;
  },
  get playbackNode() {
    return sound.playbackNode;
  },
};

const panel = new Panel({
  stats,
  sound,
  onname: (name) => {
    identity.name = name;
    remember("localStorage", "name", name);
    wire.send({ type: "rename", name });
  },
  onmicrophone: (id) => listen(id),
});

// ---- in and out

function show(section) {
  for (const id of ["lobby", "room", "over"]) $(id).hidden = id !== section;
}

function enter({ name, quiet }) {
  identity.name = name;
  panel.name(name);
  show("room");
  joinedAt ||= Date.now();
  // A click led here, so the browser lets sound start now; without https there is none, and the lobby said so.
  sound.open().then(
    () => sound.resume(),
    () => {},
  );
  setMuted(quiet);
  wire.open();
  keepAwake();
}

function leave() {
  wire.close("left");
}

function over(reason) {
  sound.unplug();
  sound.context?.suspend();
  show("over");
  joinedAt = 0;
  document.title = title;
  showOver(reason, back, recall("sessionStorage", "chat"));
}

async function back() {
  show("room");
  const wasQuiet = muted;
  if (!wasQuiet) await listen(sound.deviceId);
  enter({ name: identity.name, quiet: wasQuiet || !sound.listening });
}

async function keepAwake() {
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // The battery is low, or the system says no: the screen may sleep, the call goes on.
  }
}

document.addEventListener("visibilitychange", () => !document.hidden && joinedAt && keepAwake());

// ---- microphone

function setMuted(now) {
  muted = identity.muted = now;
  sound.live = !now;
  const button = $("mute");
  button.setAttribute("aria-pressed", String(now));
  button.setAttribute("aria-label", now ? "Unmute microphone" : "Mute microphone");
  button.title = now ? "Unmute (m)" : "Mute (m)";
  if (now) stage.level(you, 0);
  wire.send({ type: "mute", muted: now });
}

async function listen(deviceId) {
  try {
    await sound.listen(deviceId);
  } catch (error) {
    const { title: what, text } = explain(error);
    notice("microphone", `${what}. ${text}`, "Try again", () => unmute());
    setMuted(true);
    return false;
  }
  notice("microphone", "");
  await listMicrophones($("panel-devices"), sound);
  return true;
}

async function unmute() {
  if (sound.listening || (await listen(recall("localStorage", "microphone")))) setMuted(false);
}

const toggleMute = () => (muted ? unmute() : setMuted(true));

sound.onlevel = (rms) => {
  if ($("room").hidden) lobby.level(rms);
  else if (!muted) stage.level(you, visible(rms));
};
sound.onlost = () => {
  setMuted(true);
  notice("microphone", "The microphone was disconnected.", "Use another", () => unmute());
};
sound.onpaused = (paused) => {
  const shown = paused && !$("room").hidden;
  notice("sound", shown ? "The browser has paused the sound." : "", "Turn it on", () => sound.resume());
};

// ---- what the page says about itself

const notices = new Map();

/** One line over the stage, the most pressing first; an empty text takes it away. */
function notice(kind, text, action = "", onclick = null) {
  if (text) notices.set(kind, { text, action, onclick });
  else notices.delete(kind);
  const first = notices.get("wire") ?? notices.get("sound") ?? notices.get("microphone") ?? notices.get("gateway");
  $("notice").classList.toggle("on", Boolean(first));
  $("notice").classList.toggle("busy", notices.has("wire"));
  if (first) $("notice-text").textContent = first.text;
  $("notice-action").hidden = !first?.action;
  $("notice-action").textContent = first?.action ?? "";
  $("notice-action").onclick = first?.onclick ?? null;
}

function here() {
  $("here").textContent = `${stage.count} here`;
  $("alone").hidden = stage.count !== 1;
}

setInterval(() => {
  if (!joinedAt) return;
  const seconds = Math.floor((Date.now() - joinedAt) / 1000);
  const pad = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
  $("elapsed").textContent = hours ? `${hours}:${rest}` : rest;
}, 500);

function showRecorded(on) {
  if ($("recorded").hidden === !on) return;
  $("recorded").hidden = !on;
  thread.note(on ? "This call is recorded from here on." : "It is not recorded any more.");
}

// ---- chat

function say(text, attachments) {
  const key = newKey();
  drafts.set(key, { type: "chat", key, text, attachments: attachments.map((file) => file.file_id) });
  thread.pending({ key, sender: identity.name, text, attachments });
  wire.keep(drafts.get(key));
}

const chatOpen = () => !narrow.matches || document.body.classList.contains("chat-open");

function countUnread(more) {
  unread = more ? unread + more : 0;
  $("badge").textContent = unread > 99 ? "99+" : unread;
  $("badge").hidden = unread === 0;
  $("chat-toggle").setAttribute("aria-label", unread ? `Chat, ${unread} unread` : "Chat");
  document.title = unread ? `(${unread}) ${title}` : title;
}

function openChat(open) {
  document.body.classList.toggle("chat-open", open);
  $("chat-toggle").setAttribute("aria-expanded", String(open));
  if (open) {
    countUnread(0);
    thread.scrollToEnd();
    composer.focus();
  } else if (narrow.matches) $("chat-toggle").focus();
}

// ---- the gateway's words

wire
  .on("state", ({ state, reason }) => {
    const again = restarting ? "The gateway is restarting" : "Reconnecting";
    notice("wire", state === "reconnecting" ? again : state === "connecting" ? "Connecting" : "");
    if (state === "closed") over(reason);
    else if (state === "reconnecting") stage.levels({});
  })
  .on("welcome", (welcome) => {
    you = thread.you = welcome.you;
    remember("sessionStorage", guestKey, welcome.guest);
    composer.limits(welcome.limits);
    restarting = false;
    notice("gateway", "");
    stage.reset(welcome.participants, you);
    here();
    const first = thread.empty;
    const fresh = welcome.messages.filter((message) => thread.add(message));
    showRecorded(welcome.recorded);
    if (first) thread.scrollToEnd();
    else if (fresh.length && (!chatOpen() || document.hidden)) countUnread(fresh.length);
  })
  .on("joined", ({ participant }) => (stage.put(participant), here()))
  .on("changed", ({ participant }) => stage.put(participant))
  .on("left", ({ id }) => (stage.remove(id), thread.stopTyping(id), here()))
  .on("recorded", ({ on }) => showRecorded(on))
  .on("levels", ({ levels }) => stage.levels(levels))
  .on("chat", ({ message }) => {
    const mine = message.sender_id === you;
    if (!thread.add(message) || mine) return;
    thread.announce(message);
    if (!chatOpen() || document.hidden) countUnread(1);
  })
  .on("ack", ({ key }) => (thread.settled(key), drafts.delete(key)))
  .on("typing", ({ id, name }) => id !== you && thread.typing(id, name))
  .on("caption", ({ speaker, text }) => {
    $("caption-speaker").textContent = speaker;
    $("caption-text").firstElementChild.textContent = text;
    $("caption").classList.add("on");
    clearTimeout(captionTimer);
    captionTimer = setTimeout(() => $("caption").classList.remove("on"), CAPTION_MS);
  })
  .on("error", ({ code, message, key }) => {
    if (!key) return notice("gateway", message);
    wire.forget(key);
    thread.failed(key, message, code === "STORE_FAILED" || code === "RATE_LIMITED");
  })
  .on("closed", ({ reason }) => (restarting = reason === "shutdown"));

// ---- controls

$("mute").addEventListener("click", toggleMute);
$("leave").addEventListener("click", leave);
$("chat-toggle").addEventListener("click", () => openChat(!document.body.classList.contains("chat-open")));
$("chat-close").addEventListener("click", () => openChat(false));
$("captions").addEventListener("click", () => {
  const on = $("captions").getAttribute("aria-pressed") !== "true";
  $("captions").setAttribute("aria-pressed", String(on));
  $("caption").hidden = !on;
});
for (const button of document.querySelectorAll(".copy-link")) {
  button.addEventListener("click", async () => {
    const done = await copyText(location.origin + location.pathname);
    const words = button.querySelector("span");
    words.textContent = done ? "Copied" : "Copy it from the address bar";
    setTimeout(() => (words.textContent = "Copy link"), 2000);
  });
}
addEventListener("keydown", (event) => {
  if ($("room").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (!panel.close() && document.body.classList.contains("chat-open")) openChat(false);
  } else if (event.key === "m" && !event.target.closest("input, textarea, select")) toggleMute();
});
document.addEventListener("visibilitychange", () => !document.hidden && chatOpen() && countUnread(0));
navigator.mediaDevices?.addEventListener?.("devicechange", () => {
  if (sound.listening) listMicrophones($($("room").hidden ? "devices" : "panel-devices"), sound);
});
for (const type of ["pointerdown", "keydown"]) {
  addEventListener(type, () => sound.listening && sound.context?.state === "suspended" && sound.resume());
}

const lobby = new Lobby({ sound, onjoin: enter });
