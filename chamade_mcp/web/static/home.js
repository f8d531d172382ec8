// The home page: calls, the inbox, open links, and the two ways to let a person in.
import { $, ago, api, conversationRow, day, drop, el, fill, follow, isOurs, keepLooking, plural, shortDay, trouble, when } from "./dash.js";
import { followCalls, showCalls } from "./livecalls.js";
import { firstSteps, readFirstSteps, showFirstSteps } from "./firststeps.js";
import { needs, readNeeds, showNeeds } from "./needs.js";
import { readConnections, showConnections } from "./platforms.js";
import { readRequests, showRequests } from "./requests.js";
import { sure } from "./sure.js";

const SHOWN = 5;
const RARELY_MS = 12000; // links, keys, connections: what has no event of its own, or seldom one

let titles = new Map();
let keys = [];
let links = [];
let rarelyAt = -Infinity;
const others = $("others") && import("./others.js"); // where there are other agents
let newcomer = false; // waits for what no event tells: that a key is used, that the agent answers

// --- links ------------------------------------------------------------------------------------------------

function linkRow(link) {
  const about = `Made ${link.made} · works until ${shortDay(link.expires_at)}`;
  return el(
    "li",
    { class: "link-row" },
    el("div", {}, el("b", {}, el("bdi", {}, link.title)), el("p", {}, about)),
    el("button", { type: "button", class: "small", "data-act": "revoke", "aria-label": `Revoke: ${link.title}, made ${link.made}`, onclick: () => askRevoke(link) }, "Revoke"),
  );
}

function askRevoke({ id, kind }) {
  const what = `The ${kind} closes at once for everybody who is in by it. The link cannot be switched on again.`;
  sure("Revoke this link", what, "Revoke the link", async () => {
    await drop(`/api/links/${id}`);
    links = links.filter((link) => link.id !== id);
    return () => {
      showLinks();
      $("links-title").focus(); // the button that opened the dialog has gone
      lookAtAll();
    };
  });
}

function showLinks() {
  fill($("links"), links.map((link) => ({ ...link, made: when(link.created_at) })), (link) => link.id, linkRow);
  $("links-empty").hidden = links.length > 0;
}

// --- letting people in ------------------------------------------------------------------------------------

const KINDS = {
  room: {
    title: "Your room is ready",
    text: "Send the link to whoever should be in. Everybody who has it can enter.",
    open: "Open the room",
    words: (url) => `Join my call: chamade_call_join platform=web meeting_url=${url}`,
  },
  chat: {
    title: "Your chat link is ready",
    text: "Send it to one person. What they write goes to your agent, and its answers come back to the page.",
    open: "Open the chat",
    words: () => "Watch your inbox with chamade_inbox and answer with chamade_dm_chat, until I tell you to stop.",
  },
};

/** What people elsewhere will run into with this address, or "". */
function nearness(url) {
  const { hostname, protocol } = new URL(url);
  if (/^(localhost|127\..*|\[::1\])$/.test(hostname)) {
    return "This address works on this computer only. For people elsewhere, set CHAMADE_PUBLIC_URL to one that they can reach.";
  }
  if (protocol === "http:") {
    return "Over plain http browsers do not give a page the microphone: people can listen and write, not speak. Use an https address.";
  }
  return "";
}

let starting = false;

async function start(kind) {
  if (starting) return; // not by `disabled`, which would take the keyboard's focus away
  starting = true;
  try {
    const { url, expires_at: until } = await api("POST", "/api/invite-link", { platform: "web", kind });
    const { title, text, open, words } = KINDS[kind];
    $("made-title").textContent = title;
    $("made-text").textContent = `${text} It is shown this once, and works until ${day(until)}.`;
    $("made-url").value = url;
    $("made-words").textContent = words(url);
    $("made-near").textContent = nearness(url);
    $("made-near").hidden = !$("made-near").textContent;
    $("made-open").textContent = open;
    $("made-open").href = url;
    $("made").showModal();
    lookAtAll();
  } catch (error) {
    trouble(error.message, 8000);
  } finally {
    starting = false;
  }
}

$("made").addEventListener("close", () => {
  $("made-url").value = "";
  $("made-words").textContent = "";
  $("made-open").removeAttribute("href");
});
$("start-room").addEventListener("click", () => start("room"));
firstSteps(start);
for (const button of [$("start-chat"), document.querySelector("[data-start=chat]")]) {
  button.addEventListener("click", () => start("chat"));
}

// --- the rest ---------------------------------------------------------------------------------------------

function greet() {
  const hours = new Date().getHours();
  const part = hours >= 5 && hours < 12 ? "morning" : hours >= 12 && hours < 18 ? "afternoon" : "evening";
  const { name } = document.body.dataset;
  const called = /^owner$/i.test(name) ? "" : `, ${name}`;
  $("hello").textContent = `Good ${part}${called}`;
}

/** The key that was used last. */
const lastUsed = () => keys.filter((key) => key.last_used_at).sort((a, b) => (a.last_used_at < b.last_used_at ? 1 : -1))[0];

function showAgent(used) {
  const [dot, words] = $("agent-state").children;
  dot.className = `dot ${used ? "ok" : ""}`;
  words.replaceChildren(...(used ? [el("bdi", {}, used.name), ` was used ${ago(used.last_used_at)}`] : ["No agent has connected yet"]));
  $("agent-help").textContent = used
    ? `${plural(keys.length, "key")} can act here.`
    : "It needs a key and one line of setup.";
  $("agent-go").textContent = used ? "Connect another" : "Connect your agent";
  $("agent-go").classList.toggle("strong", !used);
  $("agent").closest(".cols").classList.toggle("new", !used);
}

/** What goes on, in a sentence; `live` calls and `waiting` conversations are counted. */
function summary(live, waiting) {
  const calls = live ? `${plural(live, "call")} ${live === 1 ? "is" : "are"} live` : "No call is live";
  const mail = waiting ? `${plural(waiting, "conversation")} ${waiting === 1 ? "waits" : "wait"} for an answer` : "everybody has an answer";
  return `${calls}, and ${mail}.`;
}

async function readRarely() {
  rarelyAt = performance.now();
  try {
    const read = [api("GET", "/api/links"), api("GET", "/api/api-keys"), readConnections(), others?.then(({ look: lookAtOthers }) => lookAtOthers())];
    [{ links }, { api_keys: keys }, titles] = await Promise.all(read);
  } catch (error) {
    rarelyAt = -Infinity;
    throw error;
  }
}

async function look() {
  const rarely = performance.now() - rarelyAt > RARELY_MS ? readRarely() : null;
  const [{ calls }, { conversations }] = await Promise.all([api("GET", "/api/calls"), api("GET", "/api/inbox?limit=50"), readRequests(), readNeeds(), readFirstSteps(), rarely]);
  const waiting = conversations.filter(({ last_message: last }) => last && !isOurs(last)).length;
  const used = lastUsed();
  greet();
  newcomer = showFirstSteps();
  showAgent(used);
  if (used || calls.length || waiting) $("summary").textContent = summary(calls.length, waiting);
  else $("summary").textContent = newcomer ? "Welcome." : "Connect your agent, then start a room or send a chat link.";
  showCalls(calls, titles);
  fill($("inbox"), conversations.slice(0, SHOWN), (one) => one.conversation_id, (one) => conversationRow(one, titles));
  $("inbox-empty").hidden = conversations.length > 0;
  showRequests(titles);
  showLinks();
  showConnections();
  showNeeds(titles);
}

// What the address says of connecting a platform is on the page by now: reloading is not to say it again.
if ($("returned")) history.replaceState(null, "", "/dashboard");

// Events tell of calls and messages, the live stream of who comes, goes and asks to be let in. What is left is how
// long a call lasts, and what somebody does elsewhere with links and keys.
const lookNow = keepLooking(() => (newcomer ? 2000 : 8000), look);

/** At once, and at what is read rarely as well. */
function lookAtAll() {
  rarelyAt = -Infinity;
  lookNow();
}

follow(lookNow, (type) => {
  if (type === "connection_state") rarelyAt = -Infinity;
});
followCalls(lookNow);
needs(lookNow);
